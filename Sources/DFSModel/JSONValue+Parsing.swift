extension JSONValue {
    /// Parses one JSON text. Refuses duplicate members, depth above 64, lone surrogates, invalid
    /// UTF-8, and anything after the value.
    package static func parse(_ bytes: [UInt8]) throws(DFSError) -> JSONValue {
        var parser = JSONParser(bytes: bytes)
        return try parser.document()
    }

    package static func parse(_ text: String) throws(DFSError) -> JSONValue { try parse(Array(text.utf8)) }

    /// Parses bytes that must already be in canonical form, as every stored JSON object is.
    package static func parseCanonical(_ bytes: [UInt8]) throws(DFSError) -> JSONValue {
        if let value = CanonicalReader.read(bytes) { return value }
        let value = try parse(bytes)
        guard value.canonicalBytes == bytes else {
            throw DFSError(.corrupt, "JSON is not in canonical form", cause: "bytes differ from RFC 8785")
        }
        return value
    }
}

private struct JSONParser {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(DFSError) -> JSONValue {
        let value = try value(depth: 0)
        skipSpace()
        guard position == bytes.count else { throw problem("text after the value") }
        return value
    }

    private func problem(_ cause: String) -> DFSError {
        DFSError(.corrupt, "malformed JSON at byte \(position)", cause: cause)
    }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0a, 0x0d: position += 1
            default: return
            }
        }
    }

    private mutating func value(depth: Int) throws(DFSError) -> JSONValue {
        guard depth <= 64 else { throw problem("nested too deeply") }
        skipSpace()
        guard position < bytes.count else { throw problem("unexpected end") }
        switch bytes[position] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        default: return try number()
        }
    }

    private mutating func literal(_ text: String, _ value: JSONValue) throws(DFSError) -> JSONValue {
        let expected = Array(text.utf8)
        guard position + expected.count <= bytes.count,
            Array(bytes[position..<position + expected.count]) == expected
        else { throw problem("unknown word") }
        position += expected.count
        return value
    }

    private mutating func array(depth: Int) throws(DFSError) -> JSONValue {
        position += 1
        var elements = [JSONValue]()
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array([]) }
        while true {
            elements.append(try value(depth: depth + 1))
            skipSpace()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw problem("expected , or ]") }
        }
    }

    private mutating func object(depth: Int) throws(DFSError) -> JSONValue {
        position += 1
        var members = [String: JSONValue]()
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object([:]) }
        while true {
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                throw problem("expected a name")
            }
            let name = try string()
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw problem("expected :") }
            let member = try value(depth: depth + 1)
            guard members.updateValue(member, forKey: name) == nil else { throw problem("member twice: \(name)") }
            skipSpace()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard take(UInt8(ascii: ",")) else { throw problem("expected , or }") }
        }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func string() throws(DFSError) -> String {
        position += 1
        var out = [UInt8]()
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: out, as: UTF8.self) else { throw problem("invalid UTF-8") }
                return text
            case UInt8(ascii: "\\"): try escape(&out)
            case 0..<0x20: throw problem("control character in a string")
            default: out.append(byte)
            }
        }
        throw problem("string without an end")
    }

    private mutating func escape(_ out: inout [UInt8]) throws(DFSError) {
        guard position < bytes.count else { throw problem("unexpected end") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(byte)
        case UInt8(ascii: "b"): out.append(0x08)
        case UInt8(ascii: "f"): out.append(0x0c)
        case UInt8(ascii: "n"): out.append(0x0a)
        case UInt8(ascii: "r"): out.append(0x0d)
        case UInt8(ascii: "t"): out.append(0x09)
        case UInt8(ascii: "u"):
            var scalar = try hex4()
            if (0xd800...0xdbff).contains(scalar) {
                guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else { throw problem("lone surrogate") }
                let low = try hex4()
                guard (0xdc00...0xdfff).contains(low) else { throw problem("lone surrogate") }
                scalar = 0x10000 + (scalar - 0xd800) << 10 + (low - 0xdc00)
            }
            guard let unicode = Unicode.Scalar(scalar) else { throw problem("lone surrogate") }
            out += Array(String(unicode).utf8)
        default: throw problem("unknown escape")
        }
    }

    private mutating func hex4() throws(DFSError) -> UInt32 {
        guard position + 4 <= bytes.count else { throw problem("bad \\u escape") }
        var value: UInt32 = 0
        for byte in bytes[position..<position + 4] {
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt32(byte - 0x30)
            case 0x41...0x46: value = value << 4 | UInt32(byte - 0x37)
            case 0x61...0x66: value = value << 4 | UInt32(byte - 0x57)
            default: throw problem("bad \\u escape")
            }
        }
        position += 4
        return value
    }

    /// RFC 8259: `-`, digits without a leading zero, a fraction with digits, an exponent with digits.
    private mutating func number() throws(DFSError) -> JSONValue {
        let start = position
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try digits() }
        var isInteger = true
        if take(UInt8(ascii: ".")) {
            isInteger = false
            try digits()
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isInteger = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw problem("number out of range: \(text)") }
        return .double(value)
    }

    private mutating func digits() throws(DFSError) {
        let start = position
        while position < bytes.count, (0x30...0x39).contains(bytes[position]) { position += 1 }
        guard position > start else { throw problem("not a number") }
    }
}
