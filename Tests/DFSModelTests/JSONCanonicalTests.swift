import DFSModel
import Testing

/// The examples of RFC 8785 and what lies around them.
@Suite struct JSONCanonicalTests {
    @Test(
        arguments: [
            (0x0000_0000_0000_0000, "0"), (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"), (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"), (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"), (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"), (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"), (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"), (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"), (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"), (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"), (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] as [(UInt64, String)])
    func numbersOfTheAppendix(_ bits: UInt64, _ text: String) {
        #expect(JSONValue.double(Double(bitPattern: bits)).canonicalText == text)
    }

    @Test func theExampleOfSection3() throws {
        let value = try JSONValue.parse(
            #"""
            { "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
              "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false] }
            """#)
        #expect(
            value.canonicalText
                == #"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#
                + #""string":"€$\u000f\nA'B\"\\\\\"/"}"#)
    }

    @Test func membersAreSortedByUTF16() throws {
        let value = try JSONValue.parse(
            #"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#)
        #expect(
            value.canonicalText
                == "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}")
    }

    @Test func onlyWhatMustBeIsEscaped() {
        let text = "\u{0}\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f} \"\\/\u{7f}\u{80}\u{2028}é"
        #expect(
            JSONValue.string(text).canonicalText
                == "\"\\u0000\\u0001\\b\\t\\n\\u000b\\f\\r\\u001f \\\"\\\\/\u{7f}\u{80}\u{2028}é\"")
    }

    @Test func whatIsNotFiniteIsNull() {
        #expect(
            JSONValue.array([.double(.nan), .double(.infinity), .double(-.infinity)]).canonicalText
                == "[null,null,null]")
    }

    @Test func integersKeepAllDigits() {
        #expect(JSONValue.integer(.max).canonicalText == "9223372036854775807")
        #expect(JSONValue.integer(.min).canonicalText == "-9223372036854775808")
    }

    @Test func doublesReadBackAsThemselves() throws {
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<20_000 {
            let value = Double(bitPattern: generator.next())
            guard value.isFinite else { continue }
            let text = JSONValue.double(value).canonicalText
            #expect(try JSONValue.parse(text).double == value, "\(text)")
            #expect(try JSONValue.parseCanonical(Array(text.utf8)).double == value, "\(text)")
        }
    }

    @Test func prettyTextHoldsTheSameValue() throws {
        let value: JSONValue = ["b": [1, [], [:], "x"], "a": ["c": nil, "d": true]]
        #expect(try JSONValue.parse(value.prettyText) == value)
        #expect(value.prettyText.hasPrefix("{\n  \"a\": {\n    \"c\": null,\n"))
        #expect(value.prettyText.hasSuffix("}\n"))
    }
}
