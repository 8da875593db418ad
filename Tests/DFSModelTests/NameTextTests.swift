import DFSModel
import Testing

@Suite struct NameTextTests {
    @Test func everyByteStringGoesRound() {
        var generator = SeededGenerator(seed: 4)
        let alphabet: [UInt8] = [
            0x25, 0x32, 0x35, 0x61, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0xff, 0x0a,
        ]
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...12, using: &generator)
            let name = (0..<count).map { _ in
                Bool.random(using: &generator)
                    ? UInt8.random(in: 1...255, using: &generator) : alphabet.randomElement(using: &generator) ?? 0
            }
            #expect(NameText.decode(NameText.encode(name)) == name)
        }
    }

    @Test(
        arguments: [
            ([0x61, 0xff, 0x62], "a%ffb"), ([0x31, 0x30, 0x30, 0x25], "100%25"), ([0xc3, 0xa9], "é"),
            ([0x65, 0xcc, 0x81], "e\u{301}"), ([0xc0, 0x80], "%c0%80"), ([0xed, 0xa0, 0x80], "%ed%a0%80"),
            ([0xf4, 0x90, 0x80, 0x80], "%f4%90%80%80"), ([0xe2, 0x82], "%e2%82"),
            ([0xf0, 0x9f, 0x98, 0x80], "\u{1f600}"),
            ([0x0a], "\n"), ([], ""),
        ] as [([UInt8], String)])
    func encodesOnlyWhatIsNotText(_ name: [UInt8], _ text: String) {
        #expect(Array(NameText.encode(name).utf8) == Array(text.utf8))
        #expect(NameText.decode(text) == name)
    }

    @Test(arguments: ["%", "a%", "%2", "%2G", "%FF", "%%25", "% 2"])
    func refusesBrokenEscapes(_ text: String) { #expect(NameText.decode(text) == nil) }

    @Test(
        arguments: [
            ([0x61, 0x0a, 0x62], "a\\x0ab"), ([0x1b, 0x5b, 0x33, 0x31, 0x6d], "\\x1b[31m"), ([0x7f], "\\x7f"),
            ([0xff], "\\xff"), ([0xc2, 0x9b], "\\xc2\\x9b"), ([0xc2, 0xa0], "\u{a0}"),
            ([0xe2, 0x80, 0xae], "\\xe2\\x80\\xae"), ([0xe2, 0x81, 0xa6], "\\xe2\\x81\\xa6"), ([0x25], "%"),
            ([0xe2, 0x82, 0xac], "€"),
        ] as [([UInt8], String)])
    func displayNeverActsOnATerminal(_ name: [UInt8], _ text: String) { #expect(NameText.display(name) == text) }
}
