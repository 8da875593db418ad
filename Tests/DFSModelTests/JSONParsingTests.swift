import DFSModel
import Testing

@Suite struct JSONParsingTests {
    @Test func readsEveryKind() throws {
        let value = try JSONValue.parse(
            " {\"a\":[1,-2,0,-0,3.5,1e2,1E+2,1e-2],\"b\":{},\"c\":[],\"d\":null,\"e\":false,\"f\":\"x\"}\r\n\t")
        #expect(
            value == [
                "a": [1, -2, 0, 0, .double(3.5), .double(100), .double(100), .double(0.01)], "b": [:], "c": [],
                "d": nil, "e": false, "f": "x",
            ])
        #expect(value["f"]?.string == "x" && value["e"]?.bool == false && value["a"]?.array?.count == 8)
        #expect(value["g"] == nil && value["a"]?["b"] == nil)
    }

    @Test func integersBeyondSixtyFourBitsAreDoubles() throws {
        #expect(try JSONValue.parse("9223372036854775807") == .integer(.max))
        #expect(try JSONValue.parse("9223372036854775808") == .double(9_223_372_036_854_775_808))
    }

    @Test(arguments: [
        "", " ", "nul", "nulll", "True", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{", "{\"a\"", "{\"a\":",
        "{\"a\":1", "{\"a\":1,}", "{a:1}", "{1:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "1 1", "{}{}", "\"", "\"\\",
        "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\u+123\"", "\"\\u-123\"", "\"\\u 123\"", "\"\n\"", "\"\u{0}\"",
        "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\ud800\\ud800\"", "\"\\ud800x\"",
        "01", "-01", "00", "+1", "-", "--1", ".5", "1.", "-.5", "1.e5", "1e", "1e+", "1e5.5", "0x10", "1_000",
        "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "/**/1", "'a'", "\u{feff}1",
    ])
    func refusesMalformedText(_ text: String) {
        let error = #expect(throws: DFSError.self) { try JSONValue.parse(text) }
        #expect(error?.code == .corrupt)
    }

    @Test(
        arguments: [
            [0x22, 0xff, 0x22], [0x22, 0xc0, 0x80, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22],
            [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22],
            [0x22, 0xe2, 0x82, 0x22], [0xff], [0x5b, 0x80, 0x5d],
        ] as [[UInt8]])
    func refusesBytesThatAreNotUTF8(_ bytes: [UInt8]) {
        #expect(throws: DFSError.self) { try JSONValue.parse(bytes) }
    }

    @Test func refusesDuplicateMembers() {
        #expect(throws: DFSError.self) { try JSONValue.parse(#"{"a":1,"a":1}"#) }
        #expect(throws: DFSError.self) { try JSONValue.parse(#"{"a":1,"\u0061":1}"#) }
        // Equal in Swift's eyes: they could not both be kept.
        #expect(throws: DFSError.self) { try JSONValue.parse("{\"\u{e9}\":1,\"e\u{301}\":1}") }
    }

    @Test func depthIsBounded() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(throws: Never.self) { try JSONValue.parse(nested(65)) }
        #expect(throws: DFSError.self) { try JSONValue.parse(nested(66)) }
        #expect(throws: DFSError.self) { try JSONValue.parse(String(repeating: "[", count: 1_000_000)) }
        #expect(throws: DFSError.self) { try JSONValue.parse(String(repeating: "{\"a\":", count: 100_000)) }
    }

    @Test func surrogatePairsAreOneCharacter() throws {
        #expect(try JSONValue.parse(#""\uD83D\uDE00""#) == "\u{1f600}")
        #expect(try JSONValue.parse(#""\u00E9\/\b\f\n\r\t""#) == "é/\u{8}\u{c}\n\r\t")
    }

    @Test(arguments: [
        "{ }", "{\"b\":1,\"a\":2}", "[1, 2]", "1.0", "1e2", "-0", "\"\\u0041\"", "\"\\/\"", " 1", "1\n", "\"\\u001F\"",
    ])
    func canonicalParsingRefusesOtherForms(_ text: String) {
        #expect(throws: Never.self) { try JSONValue.parse(text) }
        #expect(throws: DFSError.self) { try JSONValue.parseCanonical(Array(text.utf8)) }
    }

    @Test func randomBytesNeverTrap() {
        var generator = SeededGenerator(seed: 3)
        let alphabet = Array("{}[]\",:\\u0123456789abcdefEDd+-.truefalsn \n".utf8) + [0x00, 0x80, 0xc3, 0xff]
        var parsed = 0
        for _ in 0..<50_000 {
            let count = Int.random(in: 0...24, using: &generator)
            let bytes = (0..<count).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
            guard let value = try? JSONValue.parse(bytes) else { continue }
            parsed += 1
            // What was accepted has a canonical form that stands for the same value.
            #expect((try? JSONValue.parse(value.canonicalBytes))?.canonicalBytes == value.canonicalBytes)
        }
        #expect(parsed > 0)
    }

    @Test func digestsAreReadFromStrings() {
        let hex = String(repeating: "ab", count: 32)
        #expect(JSONValue.string("sha256:" + hex).digest == Digest(hex: hex))
        #expect(JSONValue.string(hex).digest == nil)
        #expect(JSONValue.integer(1).digest == nil)
    }
}
