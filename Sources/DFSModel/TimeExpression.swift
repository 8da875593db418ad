/// Times as people write them: a point (`2026-11-01T12:00:00Z`, also without colons), a day (`2026-11-01`,
/// `yesterday`) or an age (`45s`, `30m`, `3h`, `2d`, `2w`). UTC unless an offset is written.
///
/// What a text looks like is decided by its shape alone, so that a tag can never turn into a time or back:
/// `2026-13-45` looks like a time, and is then refused as one.
package enum TimeExpression {
    /// Which end of a day a whole day stands for: a state "at" a day is that of its end, a list "since" a day
    /// begins with its start.
    package enum DayEdge: Sendable { case start, end }

    /// Reads `text`. The end of the present day is `now`; anything later than `now` is an error.
    package static func parse(
        _ text: String, now: Timestamp, day edge: DayEdge = .end
    ) throws(DFSError) -> Timestamp {
        let time = try value(of: Array(text.utf8), text, now: now, edge)
        guard time <= now else {
            throw DFSError(.noReference, "\(text) is in the future", cause: "it is now \(now.short)", hint: "date -u")
        }
        return time
    }

    /// Whether `text` has the shape of a point in time or a day; `yesterday` is one.
    package static func looksLikeTime(_ text: some StringProtocol) -> Bool {
        let bytes = Array(text.utf8)
        if bytes == yesterday || isDate(bytes) { return true }
        return bytes.count > 11 && isDate(Array(bytes[..<10])) && isSeparator(bytes[10]) && isDigit(bytes[11])
    }

    /// Whether `text` is a number of up to six digits and one of `s m h d w`.
    ///
    /// The limit keeps a digest prefix (eight digits or more) from ever reading as an age.
    package static func looksLikeAge(_ text: some StringProtocol) -> Bool { age(Array(text.utf8)) != nil }

    /// Reads a point in time with a clock part, RFC 3339 or its form without colons; `nil` when it is none.
    package static func point(_ text: some StringProtocol) -> Timestamp? {
        var scanner = Scanner(bytes: Array(text.utf8))
        return scanner.point()
    }

    private static let yesterday = Array("yesterday".utf8)

    private static func value(
        of bytes: [UInt8], _ text: String, now: Timestamp, _ edge: DayEdge
    ) throws(DFSError) -> Timestamp {
        if let age = age(bytes) { return now.adding(seconds: -age) }
        if bytes == yesterday { return Self.edge(edge, ofDayAt: startOfDay(now.adding(seconds: -86400)), now: now) }
        guard looksLikeTime(text) else {
            throw malformed(text, "times are 2026-11-01, 2026-11-01T12:00:00Z, yesterday, or an age such as 2d or 3h")
        }
        var scanner = Scanner(bytes: bytes)
        guard let found = isDate(bytes) ? scanner.date().map({ edged($0, edge, now) }) : scanner.point() else {
            throw malformed(text, "there is no such day or hour")
        }
        return found
    }

    private static func edged(_ date: CivilTime, _ edge: DayEdge, _ now: Timestamp) -> Timestamp {
        Self.edge(edge, ofDayAt: Timestamp(seconds: date.secondsSince1970, nanoseconds: 0), now: now)
    }

    private static func edge(_ edge: DayEdge, ofDayAt start: Timestamp, now: Timestamp) -> Timestamp {
        guard edge == .end, start <= now else { return start }
        return min(now, Timestamp(seconds: start.seconds + 86399, nanoseconds: 999_999_999))
    }

    private static func startOfDay(_ time: Timestamp) -> Timestamp {
        var civil = CivilTime(time)
        (civil.hour, civil.minute, civil.second) = (0, 0, 0)
        return Timestamp(seconds: civil.secondsSince1970, nanoseconds: 0)
    }

    /// The seconds of an age; `nil` when `bytes` is none.
    private static func age(_ bytes: [UInt8]) -> Int64? {
        guard (2...7).contains(bytes.count), bytes.dropLast().allSatisfy(isDigit) else { return nil }
        let unit: Int64
        switch bytes[bytes.count - 1] {
        case UInt8(ascii: "s"): unit = 1
        case UInt8(ascii: "m"): unit = 60
        case UInt8(ascii: "h"): unit = 3600
        case UInt8(ascii: "d"): unit = 86400
        case UInt8(ascii: "w"): unit = 7 * 86400
        default: return nil
        }
        return bytes.dropLast().reduce(0) { $0 * 10 + Int64($1 - 0x30) } * unit
    }

    private static func isDate(_ bytes: [UInt8]) -> Bool {
        bytes.count == 10
            && bytes.enumerated().allSatisfy { $0 == 4 || $0 == 7 ? $1 == UInt8(ascii: "-") : isDigit($1) }
    }

    fileprivate static func isSeparator(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "T") || byte == UInt8(ascii: "t") || byte == UInt8(ascii: " ")
    }

    fileprivate static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func malformed(_ text: String, _ cause: String) -> DFSError {
        DFSError(.usage, "not a time: \(text)", cause: cause, hint: "date -u +%Y-%m-%dT%H:%M:%SZ")
    }
}

/// Reads the parts of a written time from left to right.
private struct Scanner {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func date() -> CivilTime? {
        guard let year = number(4), take("-"), let month = number(2), take("-"), let day = number(2) else { return nil }
        return CivilTime(year: Int64(year), month: month, day: day)
    }

    mutating func point() -> Timestamp? {
        guard let date = date(), position < bytes.count, TimeExpression.isSeparator(bytes[position]) else { return nil }
        position += 1
        guard let hour = number(2) else { return nil }
        let colons = take(":")
        guard let minute = number(2) else { return nil }
        var second = 0
        var nanoseconds: UInt32 = 0
        if colons ? take(":") : position < bytes.count && TimeExpression.isDigit(bytes[position]) {
            guard let value = number(2), let fraction = fraction() else { return nil }
            (second, nanoseconds) = (value, fraction)
        }
        guard let offset = offset(), position == bytes.count,
            let civil = CivilTime(
                year: date.year, month: date.month, day: date.day, hour: hour, minute: minute, second: second)
        else { return nil }
        return Timestamp(seconds: civil.secondsSince1970 - Int64(offset), nanoseconds: nanoseconds)
    }

    /// Nanoseconds of an optional fraction; digits after the ninth are dropped.
    private mutating func fraction() -> UInt32? {
        guard take(".") else { return 0 }
        var value: UInt32 = 0
        var digits = 0
        while position < bytes.count, TimeExpression.isDigit(bytes[position]) {
            if digits < 9 { value = value * 10 + UInt32(bytes[position] - 0x30) }
            digits += 1
            position += 1
        }
        guard digits > 0 else { return nil }
        for _ in min(digits, 9)..<9 { value *= 10 }
        return value
    }

    /// Seconds east of UTC; none written means UTC.
    private mutating func offset() -> Int? {
        if position == bytes.count || take("Z") || take("z") { return 0 }
        let sign = take("+") ? 1 : take("-") ? -1 : 0
        guard sign != 0, let hours = number(2), hours < 24 else { return nil }
        _ = take(":")
        guard let minutes = number(2), minutes < 60 else { return nil }
        return sign * (hours * 3600 + minutes * 60)
    }

    private mutating func number(_ digits: Int) -> Int? {
        guard position + digits <= bytes.count else { return nil }
        let slice = bytes[position..<position + digits]
        guard slice.allSatisfy(TimeExpression.isDigit) else { return nil }
        position += digits
        return slice.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }
}
