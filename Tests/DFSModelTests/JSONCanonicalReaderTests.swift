import DFSModel
import Testing

/// The quick way to read canonical JSON accepts nothing that is not.
struct JSONCanonicalReaderTests {
    private static let texts = [
        #"{"a":1,"b":[true,false,null,"x"],"c":{"d":-17,"e":"é\"\\"}}"#, #"[0,-1,10,"",{},[],{"":1}]"#,
        #"{"clock":{"host":"2026-11-24T00:12:21.159064Z"},"sequence":9007199254740993,"t":"\u0001"}"#, "1.5", "-0",
        "1e3",
    ]

    @Test func acceptsWhatWritingGivesBack() throws {
        var random = SeededGenerator(seed: 7)
        let inserted = Array("{}[]\",:\\ue0123-+. \n\u{7f}é".utf8)
        var accepted = 0
        for round in 0..<60_000 {
            var bytes = Array(Self.texts[round % Self.texts.count].utf8)
            for _ in 0..<Int.random(in: 0...2, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: bytes.indices, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes.remove(at: place)
                case 1: bytes.insert(inserted.randomElement(using: &random) ?? 0, at: place)
                case 2: bytes[place] = UInt8.random(in: 0...255, using: &random)
                default: bytes.swapAt(place, Int.random(in: bytes.indices, using: &random))
                }
            }
            let read = try? JSONValue.parseCanonical(bytes)
            var plain = try? JSONValue.parse(bytes)
            if let value = plain, value.canonicalBytes != bytes { plain = Optional.none }
            #expect(read == plain, "\(String(decoding: bytes, as: UTF8.self))")
            if read != nil { accepted += 1 }
        }
        #expect(accepted > 1000)
    }

    @Test func depthIsBounded() {
        for depth in [10, 63, 64, 65, 66, 100_000] {
            let bytes = Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
            #expect(((try? JSONValue.parseCanonical(bytes)) != nil) == ((try? JSONValue.parse(bytes)) != nil))
        }
    }
}
