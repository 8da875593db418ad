import DFSModel

/// Reads little-endian fields; every step is checked, so hostile bytes end in an error and never in a trap.
struct BinaryReader {
    let bytes: [UInt8]
    private(set) var position: Int
    let what: String

    init(_ bytes: [UInt8], at position: Int = 0, what: String) {
        self.bytes = bytes
        self.position = position
        self.what = what
    }

    var remaining: Int { bytes.count - position }

    func problem(_ cause: String) -> DFSError {
        DFSError(.corrupt, "malformed \(what)", cause: "\(cause) at byte \(position)")
    }

    mutating func integer<T: FixedWidthInteger>(_ type: T.Type) throws(DFSError) -> T {
        let width = MemoryLayout<T>.size
        guard remaining >= width else { throw problem("ends early") }
        var value: T = 0
        for i in (0..<width).reversed() {
            value = (width == 1 ? 0 : value << 8) | T(truncatingIfNeeded: bytes[position + i])
        }
        position += width
        return value
    }

    mutating func take(_ count: Int) throws(DFSError) -> ArraySlice<UInt8> {
        guard count >= 0, remaining >= count else { throw problem("ends early") }
        defer { position += count }
        return bytes[position..<position + count]
    }

    mutating func digest() throws(DFSError) -> Digest {
        guard let digest = Digest(bytes: try take(32)) else { throw problem("no digest") }
        return digest
    }

    mutating func expect(_ expected: [UInt8], _ cause: String) throws(DFSError) {
        guard Array(try take(expected.count)) == expected else { throw problem(cause) }
    }
}

extension [UInt8] {
    mutating func appendInteger<T: FixedWidthInteger>(_ value: T) {
        for i in 0..<MemoryLayout<T>.size { append(UInt8(truncatingIfNeeded: value >> (T(i) * 8))) }
    }
}
