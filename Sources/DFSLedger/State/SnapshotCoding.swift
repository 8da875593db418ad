import DFSModel

/// A value with a binary form in the cached state.
package protocol SnapshotCodable: Sendable {
    /// 64 bits of what a record is looked up by; of all records of a type or of none.
    var lookup: UInt64? { get }
    func write(to writer: inout SnapshotWriter)
    init(from reader: inout SnapshotReader) throws(DFSError)
}

extension SnapshotCodable {
    package var lookup: UInt64? { nil }
}

/// Collects bytes of the cached state: little-endian integers, texts and lists with their count in front.
package struct SnapshotWriter {
    private(set) var bytes = [UInt8]()

    mutating func raw(_ more: [UInt8]) { bytes += more }

    mutating func integer(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func flag(_ value: Bool) { integer(UInt8(value ? 1 : 0)) }

    mutating func text(_ value: String) {
        integer(UInt32(value.utf8.count))
        bytes += value.utf8
    }

    mutating func digest(_ value: Digest) {
        for word in [value.words.0, value.words.1, value.words.2, value.words.3] { integer(word.byteSwapped) }
    }

    mutating func optional<Value: SnapshotCodable>(_ value: Value?) {
        flag(value != nil)
        value?.write(to: &self)
    }

    mutating func list<Value: SnapshotCodable>(_ values: some Collection<Value>) {
        integer(UInt32(values.count))
        for value in values { value.write(to: &self) }
    }
}

/// Reads what `SnapshotWriter` wrote; every step is checked, so hostile bytes end in an error and never in a trap.
package struct SnapshotReader {
    private let bytes: [UInt8]
    private var position: Int
    private let limit: Int

    init(_ bytes: [UInt8]) { self.init(bytes, 0..<bytes.count) }

    /// Reads a part, which must lie within `bytes`.
    init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        position = range.lowerBound
        limit = range.upperBound
    }

    var isAtEnd: Bool { position == limit }

    static func problem(_ cause: String) -> DFSError {
        DFSError(.corrupt, "malformed cache of the ledger's state", cause: cause)
    }

    private mutating func advance(_ count: Int) throws(DFSError) -> Int {
        guard count >= 0, count <= limit - position else { throw Self.problem("it ends early") }
        defer { position += count }
        return position
    }

    mutating func raw(_ count: Int) throws(DFSError) -> ArraySlice<UInt8> {
        let start = try advance(count)
        return bytes[start..<start + count]
    }

    mutating func integer<Value: FixedWidthInteger & BitwiseCopyable>(_: Value.Type) throws(DFSError) -> Value {
        let start = try advance(MemoryLayout<Value>.size)
        return Value(littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: start, as: Value.self) })
    }

    mutating func flag() throws(DFSError) -> Bool {
        switch try integer(UInt8.self) {
        case 0: false
        case 1: true
        default: throw Self.problem("a flag is neither 0 nor 1")
        }
    }

    mutating func number() throws(DFSError) -> Int {
        guard let value = Int(exactly: try integer(UInt64.self)) else { throw Self.problem("a number is too large") }
        return value
    }

    /// The number of elements that follow; each takes at least a byte, so that no false count reserves much.
    mutating func count() throws(DFSError) -> Int {
        let count = Int(try integer(UInt32.self))
        guard count <= limit - position else { throw Self.problem("it ends early") }
        return count
    }

    mutating func text() throws(DFSError) -> String {
        String(decoding: try raw(try count()), as: UTF8.self)
    }

    mutating func digest() throws(DFSError) -> Digest {
        let start = try advance(32)
        return bytes.withUnsafeBytes { buffer in
            let word = { UInt64(bigEndian: buffer.loadUnaligned(fromByteOffset: start + $0 * 8, as: UInt64.self)) }
            return Digest(words: (word(0), word(1), word(2), word(3)))
        }
    }

    mutating func optional<Value: SnapshotCodable>(_: Value.Type) throws(DFSError) -> Value? {
        try flag() ? try Value(from: &self) : nil
    }

    mutating func list<Value: SnapshotCodable>(_: Value.Type) throws(DFSError) -> [Value] {
        let count = try count()
        var values = [Value]()
        values.reserveCapacity(min(count, 1 << 16))
        for _ in 0..<count { values.append(try Value(from: &self)) }
        return values
    }
}

/// Base types, and enumerations by their text.
extension SnapshotWriter {
    mutating func time(_ value: Timestamp) {
        integer(value.seconds)
        integer(value.nanoseconds)
    }

    mutating func optionalAddress(_ value: ObjectAddress?) {
        flag(value != nil)
        if let value { digest(value.digest) }
    }

    mutating func optionalText(_ value: String?) {
        flag(value != nil)
        if let value { text(value) }
    }
}

extension SnapshotReader {
    mutating func time() throws(DFSError) -> Timestamp {
        let seconds = try integer(Int64.self)
        let nanoseconds = try integer(UInt32.self)
        guard nanoseconds < 1_000_000_000 else { throw Self.problem("a time is out of range") }
        return Timestamp(seconds: seconds, nanoseconds: nanoseconds)
    }

    mutating func address() throws(DFSError) -> ObjectAddress { ObjectAddress(try digest()) }

    mutating func optionalAddress() throws(DFSError) -> ObjectAddress? { try flag() ? try address() : nil }

    mutating func optionalText() throws(DFSError) -> String? { try flag() ? try text() : nil }

    /// A text that `read` understands.
    mutating func value<Value>(_ read: (String) -> Value?) throws(DFSError) -> Value {
        guard let value = read(try text()) else { throw Self.problem("a text is out of range") }
        return value
    }
}
