/// Reads JSON that is in canonical form already, in one pass and without writing it again to compare.
///
/// Accepts less than RFC 8785 allows: no escapes in strings, no fractions, names in ASCII only. What it accepts is
/// canonical; for the rest the caller reads and writes.
struct CanonicalReader {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0

    /// The value, or `nil` when the bytes are not plain canonical JSON.
    static func read(_ bytes: [UInt8]) -> JSONValue? {
        bytes.withUnsafeBufferPointer { buffer in
            var reader = CanonicalReader(bytes: buffer)
            let value = reader.value(depth: 0)
            return reader.position == buffer.count ? value : Optional.none
        }
    }

    private init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// The byte at the position; 0, which stands nowhere in JSON, at the end.
    private var next: UInt8 { position < bytes.count ? bytes[position] : 0 }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) -> JSONValue? {
        guard depth <= 64 else { return nil }
        switch next {
        case UInt8(ascii: "{"): return object(depth: depth)
        case UInt8(ascii: "["): return array(depth: depth)
        case UInt8(ascii: "\""): return string().flatMap { String(validating: $0, as: UTF8.self) }.map { .string($0) }
        case UInt8(ascii: "t"): return word("true", .bool(true))
        case UInt8(ascii: "f"): return word("false", .bool(false))
        case UInt8(ascii: "n"): return word("null", .null)
        default: return integer()
        }
    }

    // A bare `nil` may be JSON's null too: it stands only where the type is an optional for certain.
    private mutating func word(_ text: StaticString, _ value: JSONValue) -> JSONValue? {
        guard bytes.count - position >= text.utf8CodeUnitCount else { return Optional.none }
        for i in 0..<text.utf8CodeUnitCount where bytes[position + i] != text.utf8Start[i] { return Optional.none }
        position += text.utf8CodeUnitCount
        return value
    }

    private mutating func array(depth: Int) -> JSONValue? {
        position += 1
        if take(UInt8(ascii: "]")) { return .array([]) }
        var elements = [JSONValue]()
        repeat {
            guard let element = value(depth: depth + 1) else { return nil }
            elements.append(element)
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { return Optional.none }
        return .array(elements)
    }

    private mutating func object(depth: Int) -> JSONValue? {
        position += 1
        if take(UInt8(ascii: "}")) { return .object([:]) }
        var members = [String: JSONValue](minimumCapacity: 12)
        var previous: UnsafeBufferPointer<UInt8>?
        repeat {
            guard next == UInt8(ascii: "\""), let name = string(), name.allSatisfy({ $0 < 0x80 }),
                previous.map({ Self.precedes($0, name) }) ?? true, take(UInt8(ascii: ":")),
                let member = value(depth: depth + 1)
            else { return nil }
            previous = name
            members[String(decoding: name, as: UTF8.self)] = member
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { return Optional.none }
        return .object(members)
    }

    private static func precedes(_ a: UnsafeBufferPointer<UInt8>, _ b: UnsafeBufferPointer<UInt8>) -> Bool {
        let shared = min(a.count, b.count)
        for i in 0..<shared where a[i] != b[i] { return a[i] < b[i] }
        return a.count < b.count
    }

    /// What stands between two quotation marks, when nothing in it is escaped or should be.
    private mutating func string() -> UnsafeBufferPointer<UInt8>? {
        position += 1
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                defer { position += 1 }
                return UnsafeBufferPointer(rebasing: bytes[start..<position])
            }
            guard byte >= 0x20, byte != UInt8(ascii: "\\") else { return nil }
            position += 1
        }
        return nil
    }

    /// At most 18 digits, so that nothing overflows.
    private mutating func integer() -> JSONValue? {
        let isNegative = take(UInt8(ascii: "-"))
        let start = position
        var value: Int64 = 0
        while (0x30...0x39).contains(next) {
            guard position - start < 18 else { return nil }
            value = value * 10 + Int64(next - 0x30)
            position += 1
        }
        guard position > start, bytes[start] != UInt8(ascii: "0") || (position == start + 1 && !isNegative),
            next != UInt8(ascii: "."), next | 0x20 != UInt8(ascii: "e")
        else { return nil }
        return .integer(isNegative ? -value : value)
    }
}
