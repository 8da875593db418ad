import DFSModel
import Glibc

extension Zstd {
    private static let sampleLength = 16 << 10
    private static let pieceLength = 4 << 10

    /// Whether a sample says that compressing saves `percent` or more of the bytes.
    ///
    /// Looks at 16 KiB at most: four pieces spread over a longer buffer. The histogram of the bytes alone often shows
    /// that it is worthwhile; what it cannot show (repetition) a trial at level 1 does.
    package static func isWorthwhile(_ buffer: UnsafeRawBufferPointer, percent: Int) -> Bool {
        guard !buffer.isEmpty else { return false }
        if buffer.count <= sampleLength { return isWorthwhile(sample: buffer, percent) }
        let step = (buffer.count - pieceLength) / 3
        return withUnsafeTemporaryAllocation(byteCount: sampleLength, alignment: 8) { sample in
            for i in 0..<4 {
                let piece = UnsafeRawBufferPointer(rebasing: buffer[(i * step)..<(i * step + pieceLength)])
                UnsafeMutableRawBufferPointer(rebasing: sample[(i * pieceLength)...]).copyMemory(from: piece)
            }
            return isWorthwhile(sample: UnsafeRawBufferPointer(sample), percent)
        }
    }

    private static func isWorthwhile(sample: UnsafeRawBufferPointer, _ percent: Int) -> Bool {
        let allowed = Double(sample.count) * Double(100 - percent) / 100
        // Huffman coding comes within a few percent of the entropy, its table takes up to 128 bytes.
        if entropyBytes(sample) * 1.05 + 160 <= allowed { return true }
        guard let frame = try? compress(sample, level: 1) else { return false }
        return Double(frame.count) <= allowed
    }

    /// log2 of every count that a sample can hold.
    private static let logarithms: [Float] = (0...sampleLength).map { log2f(Float(max($0, 1))) }

    /// The length that an ideal code for single bytes would take.
    private static func entropyBytes(_ sample: UnsafeRawBufferPointer) -> Double {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 256) { counts in
            counts.initialize(repeating: 0)
            for byte in sample { counts[Int(byte)] &+= 1 }
            var bits: Float = 0
            let whole = logarithms[sample.count]
            for count in counts where count > 0 { bits += Float(count) * (whole - logarithms[Int(count)]) }
            return Double(bits) / 8
        }
    }
}
