import DFSModel
import Glibc
import Testing

@Suite struct TimestampTests {
    @Test func formsOfOneMoment() {
        let time = Timestamp(seconds: 1_793_534_400, nanoseconds: 123_456_789)
        #expect(time.description == "2026-11-01T12:00:00.123456Z")
        #expect(time.short == "2026-11-01T12:00:00Z")
        #expect(time.pathText == "2026-11-01T120000Z")
        #expect(time.date == "2026-11-01")
        #expect(Timestamp(seconds: -1, nanoseconds: 0).short == "1969-12-31T23:59:59Z")
    }

    @Test func agreesWithTheCLibrary() {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<20_000 {
            // Years 1 to 9999.
            let seconds = Int64.random(in: -62_135_596_800...253_402_300_799, using: &generator)
            let civil = CivilTime(Timestamp(seconds: seconds, nanoseconds: 0))
            var (moment, fields) = (time_t(seconds), tm())
            gmtime_r(&moment, &fields)
            #expect(civil.year == Int64(fields.tm_year) + 1900 && civil.month == Int(fields.tm_mon) + 1)
            #expect(civil.day == Int(fields.tm_mday) && civil.hour == Int(fields.tm_hour))
            #expect(civil.minute == Int(fields.tm_min) && civil.second == Int(fields.tm_sec))
            #expect(civil.secondsSince1970 == seconds)
        }
    }

    @Test func extremesDoNotTrap() {
        for seconds in [Int64.min, .min + 1, -86400, -86399, -1, 0, .max - 1, .max] {
            let civil = CivilTime(Timestamp(seconds: seconds, nanoseconds: 0))
            #expect((0...23).contains(civil.hour) && (1...12).contains(civil.month) && (1...31).contains(civil.day))
        }
    }

    @Test func monthsHaveTheirLengths() {
        #expect(CivilTime(year: 2024, month: 2, day: 29) != nil)
        #expect(CivilTime(year: 2000, month: 2, day: 29) != nil)
        #expect(CivilTime(year: 1900, month: 2, day: 29) == nil)
        #expect(CivilTime(year: 2026, month: 2, day: 29) == nil)
        #expect(CivilTime(year: 2026, month: 11, day: 31) == nil)
        #expect(CivilTime(year: 2026, month: 13, day: 1) == nil)
        #expect(CivilTime(year: 2026, month: 0, day: 1) == nil)
        #expect(CivilTime(year: 2026, month: 1, day: 1, hour: 24) == nil)
    }

    @Test func orderIsInTime() {
        let a = Timestamp(seconds: 5, nanoseconds: 9), b = Timestamp(seconds: 5, nanoseconds: 10)
        #expect(a < b && b < a.adding(seconds: 1) && a.adding(seconds: -6).seconds == -1)
    }
}

@Suite struct UUIDv7Tests {
    @Test func holdsTimeVersionAndVariant() {
        let id = UUIDv7(milliseconds: 0x0123_4567_89ab, random: [UInt8](repeating: 0xff, count: 10))
        #expect(id.text == "01234567-89ab-7fff-bfff-ffffffffffff")
        #expect(id.digits == "0123456789ab7fffbfffffffffffffff")
        #expect(UUIDv7(milliseconds: 1, random: []).text == "00000000-0001-7000-8000-000000000000")
        #expect(UUIDv7(id.text) == id)
    }

    @Test func orderOfTextIsOrderInTime() {
        let ids = (0..<100).map {
            UUIDv7(milliseconds: UInt64($0) << 20, random: [UInt8](repeating: 7, count: 10)).text
        }
        #expect(ids == ids.sorted())
    }

    @Test(arguments: [
        "", "01234567-89ab-4fff-bfff-ffffffffffff", "01234567-89AB-7fff-bfff-ffffffffffff",
        "01234567-89ab-7fff-cfff-ffffffffffff", "01234567-89ab-7fff-bfff-fffffffffff",
        "0123456789ab-7fff-bfff-fffffffffffff-", "01234567-89ab-7fff-bfff-ffffffffffffg",
        "01234567_89ab_7fff_bfff_ffffffffffff",
    ])
    func otherTextIsNone(_ text: String) {
        #expect(UUIDv7(text) == nil)
        #expect(RunID(text) == nil)
    }
}
