/// Values of metrics as people read them: six significant digits.
enum MetricText {
    static func of(_ value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "NaN" : value > 0 ? "Infinity" : "-Infinity" }
        if let whole = Int64(exactly: value), whole.magnitude < 1_000_000_000 { return String(whole) }
        let magnitude = value.magnitude
        guard magnitude >= 1e-4, magnitude < 1e9 else { return exponential(value) }
        var places = 5
        var limit = 1.0
        while magnitude >= limit * 10, places > 0 {
            limit *= 10
            places -= 1
        }
        while magnitude < limit, places < 9 {
            limit /= 10
            places += 1
        }
        return fixed(value, places)
    }

    private static func fixed(_ value: Double, _ places: Int) -> String {
        var factor = 1.0
        for _ in 0..<places { factor *= 10 }
        let scaled = (value.magnitude * factor).rounded()
        let digits = Array(String(UInt64(scaled)))
        let padded = Array(repeating: Character("0"), count: max(0, places + 1 - digits.count)) + digits
        let whole = String(padded.dropLast(places))
        let fraction = String(padded.suffix(places)).reversed().drop { $0 == "0" }.reversed()
        return (value < 0 ? "-" : "") + whole + (fraction.isEmpty ? "" : "." + String(fraction))
    }

    private static func exponential(_ value: Double) -> String {
        var exponent = 0
        var mantissa = value
        while mantissa.magnitude >= 10 {
            mantissa /= 10
            exponent += 1
        }
        while mantissa.magnitude < 1 {
            mantissa *= 10
            exponent -= 1
        }
        return fixed(mantissa, 5) + "e\(exponent)"
    }
}
