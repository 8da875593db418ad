/// Numbers as people read them.
package enum Quantity {
    /// `1,234,567`
    package static func number(_ value: some BinaryInteger) -> String {
        let digits = Array(String(value.magnitude))
        var out = value < 0 ? "-" : ""
        for (i, digit) in digits.enumerated() {
            if i > 0, (digits.count - i).isMultiple(of: 3) { out.append(",") }
            out.append(digit)
        }
        return out
    }

    /// `1 file`, `1,234 files`; `plural` where an s does not make it.
    package static func count(_ value: some BinaryInteger, _ noun: String, plural: String? = nil) -> String {
        "\(number(value)) \(value == 1 ? noun : plural ?? noun + "s")"
    }

    /// A duration in its two largest units: `0.4 s`, `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
    package static func duration(milliseconds: Int64) -> String {
        let total = max(0, milliseconds)
        let tenths = (total + 50) / 100
        if tenths < 100 { return "\(tenths / 10).\(tenths % 10) s" }
        let seconds = (total + 500) / 1000
        for (unit, name, part, partName) in scale where seconds >= unit {
            let rest = seconds % unit / part
            return "\(seconds / unit) \(name)" + (rest == 0 ? "" : " \(rest) \(partName)")
        }
        return "\(seconds) s"
    }

    private static let scale: [(Int64, String, Int64, String)] = [
        (86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"),
    ]
}
