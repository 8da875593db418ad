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
        defer { position += width }
        return bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: T.self)) }
    }

    mutating func take(_ count: Int) throws(DFSError) -> ArraySlice<UInt8> {
        guard count >= 0, remaining >= count else { throw problem("ends early") }
        defer { position += count }
        return bytes[position..<position + count]
    }

    mutating func digest() throws(DFSError) -> Digest {
        guard remaining >= Digest.byteCount else { throw problem("ends early") }
        defer { position += Digest.byteCount }
        return bytes.withUnsafeBytes { Digest(loading: $0, at: position) }
    }

    mutating func expect(_ expected: [UInt8], _ cause: String) throws(DFSError) {
        guard Array(try take(expected.count)) == expected else { throw problem(cause) }
    }
}

extension [UInt8] {
    /// Appends a number, little-endian.
    package mutating func appendInteger<T: FixedWidthInteger>(_ value: T) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}
