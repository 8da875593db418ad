/// A point in time, UTC: seconds since 1970 (may be negative) and nanoseconds below 1,000,000,000.
package struct Timestamp: Hashable, Comparable, Sendable {
    package let seconds: Int64
    package let nanoseconds: UInt32

    package init(seconds: Int64, nanoseconds: UInt32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    package static func < (a: Timestamp, b: Timestamp) -> Bool {
        (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds)
    }

    package func adding(seconds delta: Int64) -> Timestamp {
        Timestamp(seconds: seconds &+ delta, nanoseconds: nanoseconds)
    }
}

/// Calendar fields of a time, UTC (proleptic Gregorian).
package struct CivilTime: Hashable, Sendable {
    package var year: Int64
    package var month, day, hour, minute, second: Int

    package init(_ time: Timestamp) {
        // Rounded down without overflow: times in a damaged store can be any number.
        let (quotient, remainder) = time.seconds.quotientAndRemainder(dividingBy: 86400)
        let days = remainder < 0 ? quotient - 1 : quotient
        let rest = Int(remainder < 0 ? remainder + 86400 : remainder)
        (year, month, day) = Self.date(daysSince1970: days)
        (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60)
    }

    /// `nil` when a field is out of its range (month lengths are respected).
    package init?(year: Int64, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
        guard (1...12).contains(month), (1...Self.days(in: month, of: year)).contains(day), (0...23).contains(hour),
            (0...59).contains(minute), (0...59).contains(second), (-9999...9999).contains(year)
        else { return nil }
        (self.year, self.month, self.day) = (year, month, day)
        (self.hour, self.minute, self.second) = (hour, minute, second)
    }

    package var secondsSince1970: Int64 {
        // Days from civil date, counting years from March so that leap days fall at a year's end.
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let shifted = Int64((month + 9) % 12)
        let dayOfYear = (153 * shifted + 2) / 5 + Int64(day) - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return (era * 146_097 + dayOfEra - 719_468) * 86400 + Int64(hour * 3600 + minute * 60 + second)
    }

    private static func days(in month: Int, of year: Int64) -> Int {
        if month == 2 { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28 }
        return [4, 6, 9, 11].contains(month) ? 30 : 31
    }

    private static func date(daysSince1970 days: Int64) -> (Int64, Int, Int) {
        let z = days + 719_468
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let dayOfEra = z - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let day = Int(dayOfYear - (153 * shifted + 2) / 5) + 1
        let month = Int(shifted < 10 ? shifted + 3 : shifted - 9)
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}

extension Timestamp: CustomStringConvertible {
    /// RFC 3339 with microseconds: `2026-11-01T12:00:00.000000Z`.
    package var description: String { "\(date)T\(clock(separator: ":")).\(padded(nanoseconds / 1000, 6))Z" }

    /// Without a fraction: `2026-11-01T12:00:00Z`.
    package var short: String { "\(date)T\(clock(separator: ":"))Z" }

    /// Safe in paths: `2026-11-01T120000Z`.
    package var pathText: String { "\(date)T\(clock(separator: ""))Z" }

    package var date: String {
        let c = CivilTime(self)
        return "\(padded(c.year, 4))-\(padded(c.month, 2))-\(padded(c.day, 2))"
    }

    private func clock(separator: String) -> String {
        let c = CivilTime(self)
        return "\(padded(c.hour, 2))\(separator)\(padded(c.minute, 2))\(separator)\(padded(c.second, 2))"
    }

    private func padded(_ value: some BinaryInteger, _ width: Int) -> String {
        let text = String(value)
        return text.count >= width ? text : String(repeating: "0", count: width - text.count) + text
    }
}
