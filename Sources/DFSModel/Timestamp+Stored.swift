extension Timestamp {
    /// Reads the one form in which stored JSON holds a time, `2026-11-01T12:00:00.000000Z`; `nil` for any other.
    package init?(stored text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 27, let year = Self.number(bytes[0..<4]), let month = Self.number(bytes[5..<7]),
            let day = Self.number(bytes[8..<10]), let hour = Self.number(bytes[11..<13]),
            let minute = Self.number(bytes[14..<16]), let second = Self.number(bytes[17..<19]),
            let fraction = Self.number(bytes[20..<26]),
            let civil = CivilTime(
                year: Int64(year), month: month, day: day, hour: hour, minute: minute, second: second)
        else { return nil }
        self.init(seconds: civil.secondsSince1970, nanoseconds: UInt32(fraction) * 1000)
        guard description == text else { return nil }
    }

    /// The same time without what is below a microsecond, as stored JSON holds it.
    package var wholeMicroseconds: Timestamp {
        Timestamp(seconds: seconds, nanoseconds: nanoseconds / 1000 * 1000)
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        var value = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            value = value * 10 + Int(digit - 0x30)
        }
        return value
    }
}
