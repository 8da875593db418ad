import DFSModel
import Testing

@Suite struct TimeExpressionTests {
    /// 2026-11-23T10:20:30.5Z
    private let now = Timestamp(seconds: 1_795_429_230, nanoseconds: 500_000_000)

    @Test(arguments: [
        ("2026-11-01T12:00:00Z", "2026-11-01T12:00:00.000000Z"),
        ("2026-11-01t12:00:00z", "2026-11-01T12:00:00.000000Z"),
        ("2026-11-01 12:00:00", "2026-11-01T12:00:00.000000Z"),
        ("2026-11-01T12:00:00.25+02:00", "2026-11-01T10:00:00.250000Z"),
        ("2026-11-01T12:00:00-05:30", "2026-11-01T17:30:00.000000Z"),
        ("2026-11-01T00:30:00+01:00", "2026-10-31T23:30:00.000000Z"),
        ("2026-11-01T120000Z", "2026-11-01T12:00:00.000000Z"),
        ("2026-11-01T120000", "2026-11-01T12:00:00.000000Z"),
        ("2026-11-01T120000+0100", "2026-11-01T11:00:00.000000Z"),
        ("2026-11-01T12:00", "2026-11-01T12:00:00.000000Z"),
        ("2026-11-01T1200Z", "2026-11-01T12:00:00.000000Z"),
        ("2026-11-01T12:00:00.1234567891Z", "2026-11-01T12:00:00.123456Z"),
        ("2026-11-01", "2026-11-01T23:59:59.999999Z"),
        ("2024-02-29", "2024-02-29T23:59:59.999999Z"),
        ("yesterday", "2026-11-22T23:59:59.999999Z"),
        ("2026-11-22", "2026-11-22T23:59:59.999999Z"),
        ("0s", "2026-11-23T10:20:30.500000Z"),
        ("45s", "2026-11-23T10:19:45.500000Z"),
        ("30m", "2026-11-23T09:50:30.500000Z"),
        ("3h", "2026-11-23T07:20:30.500000Z"),
        ("2d", "2026-11-21T10:20:30.500000Z"),
        ("2w", "2026-11-09T10:20:30.500000Z"),
        ("007d", "2026-11-16T10:20:30.500000Z"),
    ])
    func reads(_ text: String, _ expected: String) throws {
        #expect(try TimeExpression.parse(text, now: now).description == expected)
    }

    @Test func theEndOfTodayIsNow() throws {
        #expect(try TimeExpression.parse("2026-11-23", now: now) == now)
        #expect(try TimeExpression.parse("2026-11-23T10:20:30.5Z", now: now) == now)
    }

    @Test func listsBeginWithTheStartOfADay() throws {
        #expect(try TimeExpression.parse("2026-11-23", now: now, day: .start).short == "2026-11-23T00:00:00Z")
        #expect(try TimeExpression.parse("yesterday", now: now, day: .start).short == "2026-11-22T00:00:00Z")
        #expect(try TimeExpression.parse("2h", now: now, day: .start).short == "2026-11-23T08:20:30Z")
    }

    @Test(arguments: [
        "2026-11-24", "2099-01-01", "2026-11-23T10:20:31Z", "2026-11-23T10:20:30.500000001Z",
        "2026-11-23T10:20:30-00:01",
    ])
    func theFutureIsAnError(_ text: String) {
        let error = #expect(throws: DFSError.self) { try TimeExpression.parse(text, now: now) }
        #expect(error?.code == .noReference)
        #expect(error?.what == "\(text) is in the future")
        #expect(error?.hint != nil)
        #expect(throws: DFSError.self) { try TimeExpression.parse(text, now: now, day: .start) }
    }

    @Test(arguments: [
        "", " ", "tomorrow", "Yesterday", "2d ", " 2d", "-2d", "+2d", "2.5d", "2y", "2D", "d", "2", "1234567d",
        "2026-13-01", "2026-02-29", "2026-11-00", "2026-11-31", "2026-1-1", "20261101", "2026-11", "2026-11-01T",
        "2026-11-01Z", "2026-11-01T24:00:00Z", "2026-11-01T12:60:00Z", "2026-11-01T12:00:61Z", "2026-11-01T12",
        "2026-11-01T12:00:00+25:00", "2026-11-01T12:00:00+02", "2026-11-01T12:00:00+02:60", "2026-11-01T12:00:00.Z",
        "2026-11-01T12:0000Z", "2026-11-01T1200:00Z", "2026-11-01T12:00:00ZZ", "2026-11-01T12:00:00 Z", "2026-11-01x",
        "２d",
    ])
    func refuses(_ text: String) {
        let error = #expect(throws: DFSError.self) { try TimeExpression.parse(text, now: now) }
        #expect(error?.code == .usage)
        #expect(error?.what == "not a time: \(text)")
        #expect(error?.cause != nil && error?.hint != nil)
    }

    @Test func shapesAloneDecideWhatLooksLikeATime() {
        for text in ["2026-11-01", "2026-13-45", "yesterday", "2026-11-01T12:00:00Z", "2026-11-01T9", "2026-11-01 1x"] {
            #expect(TimeExpression.looksLikeTime(text), "\(text)")
        }
        for text in ["2d", "today", "2026-11-01-final", "2026-11-01T", "2026-11-01Tx", "v3", "", "20261101"] {
            #expect(!TimeExpression.looksLikeTime(text), "\(text)")
        }
        for text in ["2d", "0s", "999999w", "30m", "3h"] { #expect(TimeExpression.looksLikeAge(text), "\(text)") }
        for text in ["", "d", "2", "2x", "1234567d", "12345678d", "2dd", "a2d", "yesterday"] {
            #expect(!TimeExpression.looksLikeAge(text), "\(text)")
        }
    }

    @Test func everyPrintedTimeReadsBack() throws {
        var generator = SeededGenerator(seed: 6)
        for _ in 0..<5000 {
            let seconds = Int64.random(in: 0...1_795_429_229, using: &generator)
            let time = Timestamp(
                seconds: seconds, nanoseconds: UInt32.random(in: 0..<1_000_000, using: &generator) * 1000)
            #expect(try TimeExpression.parse(time.description, now: now) == time)
            #expect(try TimeExpression.parse(time.short, now: now).seconds == seconds)
            #expect(try TimeExpression.parse(time.pathText, now: now).seconds == seconds)
        }
    }
}
