import DFSModel
import Testing

struct NamesTests {
    @Test(arguments: [
        "faces", "team/faces", "F", "0", "a.b_c-d", "Data", "v", "v1x", "va", "V1", "latest2",
        String(repeating: "a", count: 63), String(repeating: "a", count: 63) + "/" + String(repeating: "b", count: 63),
    ])
    func datasetNameIsAllowed(name: String) { #expect(DatasetName.problem(name) == nil) }

    @Test(arguments: [
        "", "/", "a/", "/a", "a//b", "a/b/c", ".", "..", ".hidden", "-x", "_x", "a b", "a\n", "a\0", "é", "e\u{301}",
        "latest", "tags", "at", "views", "diff", "by", "self", "data", "code", "run", "v1", "v00", "team/v1", "team/at",
        "data/x", "a@b", "a:b", "a~1", String(repeating: "a", count: 64), "faces/" + String(repeating: "a", count: 64),
    ])
    func datasetNameIsRefused(name: String) { #expect(DatasetName.problem(name) != nil) }

    @Test(arguments: [
        ("faces", "faces", false), ("faces", "Faces", true), ("faces", "faces2", false), ("a", "a/b", true),
        ("a/b", "a", true), ("a/b", "a/c", false), ("a/b", "a/B", true), ("a/b", "A/c", true), ("A", "a/c", true),
        ("ab", "a/b", false), ("a/b", "c/b", false),
    ])
    func conflicts(name: String, existing: String, expected: Bool) {
        #expect((DatasetName.conflict(name, with: existing) != nil) == expected)
        #expect((DatasetName.conflict(existing, with: name) != nil) == expected)
        #expect((DatasetName.conflict(name, among: ["zzz", existing]) != nil) == expected)
        if expected { #expect(DatasetName.conflictKey(name) == DatasetName.conflictKey(existing)) }
    }

    @Test(arguments: [
        "best", "release-1.0", "v1.0", "2026", "2026-11-x", "2026-11-01-rc1", "2dx", "d2", "abcdef1", "1.2",
        "12345678g",
        "m", "7",
    ])
    func tagIsAllowed(tag: String) { #expect(TagName.problem(tag) == nil) }

    @Test(arguments: [
        "", "a/b", "v1", "v12", "latest", "self", "2026-11-01", "2026-11", "2026-11-01T120000Z", "2026-11-01T12", "2d",
        "3h", "10min", "1h30m", "2D", "yesterday", "Today", "now", "abcdef12", "ABCDEF12", "20261101", "deadbeefcafe",
        "-a",
        "a:b", "a b",
    ])
    func tagIsRefused(tag: String) { #expect(TagName.problem(tag) != nil) }

    @Test func runNamesComeFromTheLastFourDigits() throws {
        #expect(Set(RunName.adjectives).count == 256 && Set(RunName.nouns).count == 256)
        #expect(
            (RunName.adjectives + RunName.nouns).allSatisfy { word in
                word.utf8.allSatisfy { (0x61...0x7a).contains($0) }
            })
        let run = try #require(RunID("01890a5d-ac96-774b-bcce-b302099a00ff"))
        #expect(RunName.of(run) == "able-wren")
        #expect(RunName.digits(of: "able-wren") == "00ff")
        let other = try #require(RunID("01890a5d-ac96-774b-bcce-b302099a1fb6"))
        #expect(RunName.digits(of: RunName.of(other)) == "1fb6")
        for text in ["", "able", "able-", "-wren", "able-wren-", "wren-able", "Able-wren"] {
            #expect(RunName.digits(of: text) == nil)
        }
    }

    @Test func digestPrefixes() throws {
        let digest = try #require(Digest(hex: String(repeating: "0123456789abcdef", count: 4)))
        for length in 1...64 {
            let digits = String(digest.hex.prefix(length))
            #expect(DigestPrefix(digits)?.matches(digest) == true)
            #expect(DigestPrefix("sha256:" + digits.uppercased())?.matches(digest) == true)
            let wrong = String(digits.dropLast()) + (digits.last == "0" ? "1" : "0")
            #expect(DigestPrefix(wrong)?.matches(digest) == false)
        }
        for text in ["", "g", "sha256:", String(repeating: "0", count: 65), "12 4"] {
            #expect(DigestPrefix(text) == nil)
        }
    }

    @Test func storedTimes() throws {
        for seconds in [0, 1_790_000_000, -1, 253_402_300_799, 951_782_400] as [Int64] {
            let time = Timestamp(seconds: seconds, nanoseconds: 123_456_000)
            #expect(Timestamp(stored: time.description) == time)
        }
        for text in [
            "2026-11-01T12:00:00Z", "2026-11-01T12:00:00.00000Z", "2026-02-29T12:00:00.000000Z",
            "2026-11-01T24:00:00.000000Z", "2026-11-01t12:00:00.000000Z", "2026-11-01T12:00:00.000000+",
            "2026-11-01 12:00:00.000000Z", "+026-11-01T12:00:00.000000Z", "",
        ] {
            #expect(Timestamp(stored: text) == nil)
        }
        #expect(Timestamp(seconds: 1, nanoseconds: 999_999_999).wholeMicroseconds.nanoseconds == 999_999_000)
    }
}
