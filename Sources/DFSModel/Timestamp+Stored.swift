extension Timestamp {
    /// Reads exactly the form that records hold: `2026-11-01T12:00:00.000000Z`.
    package init?(stored text: String) {
        let c = Array(text.utf8)
        guard c.count == 27, c[26] == UInt8(ascii: "Z"), c[19] == UInt8(ascii: ".") else { return nil }
        for (index, separator) in [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")] {
            guard [c[index]] == Array(separator.utf8) else { return nil }
        }
        func number(_ range: Range<Int>) -> Int? {
            var value = 0
            for digit in c[range] {
                guard (0x30...0x39).contains(digit) else { return nil }
                value = value * 10 + Int(digit - 0x30)
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            let micro = number(20..<26),
            let civil = CivilTime(
                year: Int64(year), month: month, day: day, hour: hour, minute: minute, second: second)
        else { return nil }
        self.init(seconds: civil.secondsSince1970, nanoseconds: UInt32(micro) * 1000)
    }
}
