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

    /// ECMAScript's text of a number: shortest digits, an exponent only below 1e-6 and from 1e21.
    ///
    /// Signed entries hold integers only; doubles appear in metrics. What is not finite has no JSON and becomes null.
    private static func number(_ value: Double) -> String {
        guard value.isFinite else { return "null" }
        guard value != 0 else { return "0" }
        let (digits, point) = decimal(value.magnitude)
        let sign = value < 0 ? "-" : ""
        switch point {
        case 1...21 where point >= digits.count: return sign + digits + zeros(point - digits.count)
        case 1...21: return sign + digits.prefix(point) + "." + digits.dropFirst(point)
        case -5...0: return sign + "0." + zeros(-point) + digits
        default:
            let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
            return sign + digits.prefix(1) + fraction + "e" + (point > 0 ? "+" : "-") + String((point - 1).magnitude)
        }
    }

    /// The shortest digits that read back as `value`, and where the point stands: 0.digits times ten to that power.
    private static func decimal(_ value: Double) -> (digits: String, point: Int) {
        let parts = "\(value)".split(separator: "e")
        let number = parts[0].split(separator: ".")
        let exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        let fraction = number.count > 1 && number[1] != "0" ? number[1] : ""
        let all = String(number[0] + fraction)
        let significant = all.drop { $0 == "0" }
        let point = number[0].count - (all.count - significant.count) + exponent
        let trailing = significant.reversed().prefix { $0 == "0" }.count
        return (String(significant.dropLast(trailing)), point)
    }

    private static func zeros(_ count: Int) -> String { String(repeating: "0", count: count) }
}
