extension JSONValue {
    /// RFC 8785: no white space, members in order of their UTF-16 code units, shortest escapes.
    package var canonicalBytes: [UInt8] {
        var out = [UInt8]()
        append(to: &out, indent: nil, depth: 0)
        return out
    }

    /// The canonical form as text.
    package var canonicalText: String { String(decoding: canonicalBytes, as: UTF8.self) }

    /// For people: two spaces of indentation, members in canonical order, a final newline.
    package var prettyText: String {
        var out = [UInt8]()
        append(to: &out, indent: 2, depth: 0)
        return String(decoding: out, as: UTF8.self) + "\n"
    }

    private func append(to out: inout [UInt8], indent: Int?, depth: Int) {
        switch self {
        case .null: out += Array("null".utf8)
        case .bool(let value): out += Array((value ? "true" : "false").utf8)
        case .integer(let value): out += Array(String(value).utf8)
        case .double(let value): out += Array(Self.number(value).utf8)
        case .string(let value): Self.appendString(value, to: &out)
        case .array(let elements):
            Self.appendList(elements, "[", "]", to: &out, indent: indent, depth: depth) { element, out in
                element.append(to: &out, indent: indent, depth: depth + 1)
            }
        case .object(let members):
            let sorted = members.sorted { $0.key.utf16.lexicographicallyPrecedes($1.key.utf16) }
            Self.appendList(sorted, "{", "}", to: &out, indent: indent, depth: depth) { member, out in
                Self.appendString(member.key, to: &out)
                out.append(UInt8(ascii: ":"))
                if indent != nil { out.append(UInt8(ascii: " ")) }
                member.value.append(to: &out, indent: indent, depth: depth + 1)
            }
        }
    }

    private static func appendList<Element>(
        _ elements: [Element], _ open: Unicode.Scalar, _ close: Unicode.Scalar, to out: inout [UInt8], indent: Int?,
        depth: Int, each: (Element, inout [UInt8]) -> Void
    ) {
        out.append(UInt8(ascii: open))
        for (i, element) in elements.enumerated() {
            if i > 0 { out.append(UInt8(ascii: ",")) }
            if let indent { out += newline(indent * (depth + 1)) }
            each(element, &out)
        }
        if let indent, !elements.isEmpty { out += newline(indent * depth) }
        out.append(UInt8(ascii: close))
    }

    private static func newline(_ spaces: Int) -> [UInt8] {
        [UInt8(ascii: "\n")] + [UInt8](repeating: UInt8(ascii: " "), count: spaces)
    }

    private static func appendString(_ string: String, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        for byte in string.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
            case 0x08: out += Array("\\b".utf8)
            case 0x09: out += Array("\\t".utf8)
            case 0x0a: out += Array("\\n".utf8)
            case 0x0c: out += Array("\\f".utf8)
            case 0x0d: out += Array("\\r".utf8)
            case 0x00..<0x20: out += Array("\\u00".utf8) + Array(Hex.encode([byte]).utf8)
            default: out.append(byte)
            }
        }
        out.append(UInt8(ascii: "\""))
    }

    /// ECMAScript's shortest form. Signed entries hold integers only; doubles appear in metrics.
    private static func number(_ value: Double) -> String {
        guard value.isFinite else { return "null" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        let text = "\(value)"
        guard let mark = text.firstIndex(of: "e") else { return text }
        let digits = text[..<mark]
        let mantissa = digits.hasSuffix(".0") ? String(digits.dropLast(2)) : String(digits)
        let exponent = text[text.index(after: mark)...]
        return mantissa + "e" + (exponent.hasPrefix("-") || exponent.hasPrefix("+") ? "" : "+") + exponent
    }
}
