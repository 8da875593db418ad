import DFSModel
import Testing

@Suite struct DigestTests {
    private let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    @Test func textAndBytesAreTheSameDigest() throws {
        let digest = try #require(Digest(hex: text))
        #expect(digest.hex == text)
        #expect(digest.text == "sha256:" + text)
        #expect(Digest(text: "sha256:" + text) == digest)
        #expect(Digest(bytes: digest.bytes) == digest)
        #expect(digest.bytes.count == Digest.byteCount)
        #expect(digest.bytes.first == 0xba && digest.bytes.last == 0xad)
    }

    @Test(arguments: [
        "", "ba78", "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad00",
        "ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ])
    func otherTextIsNone(_ text: String) {
        #expect(Digest(hex: text) == nil)
        #expect(Digest(text: "sha256:" + text) == nil)
    }

    @Test func prefixIsPartOfTheText() {
        #expect(Digest(text: text) == nil)
        #expect(Digest(text: "sha512:" + text) == nil)
        #expect(Digest(text: "SHA256:" + text) == nil)
    }

    @Test func wrongNumberOfBytesIsNone() {
        #expect(Digest(bytes: [UInt8](repeating: 1, count: 31)) == nil)
        #expect(Digest(bytes: [UInt8](repeating: 1, count: 33)) == nil)
        #expect(Digest(bytes: [UInt8]()) == nil)
    }

    @Test func orderIsByteOrder() throws {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<2000 {
            var a = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let b = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
            // Long common prefixes reach every word.
            let common = Int.random(in: 0...32, using: &generator)
            a.replaceSubrange(0..<common, with: b[0..<common])
            let (x, y) = (try #require(Digest(bytes: a)), try #require(Digest(bytes: b)))
            #expect((x < y) == a.lexicographicallyPrecedes(b))
            #expect((x == y) == (a == b))
        }
    }

    @Test func identifiersShowTheirDigits() throws {
        let digest = try #require(Digest(hex: text))
        #expect(ChunkID(digest).description == text)
        #expect(PackID(digest) == PackID(digest))
        #expect(ObjectAddress(.zero) < ObjectAddress(digest))
    }
}

@Suite struct HexTests {
    @Test func everyByteGoesRound() {
        let bytes = (0...255).map { UInt8($0) }
        #expect(Hex.decode(Hex.encode(bytes)) == bytes)
        #expect(Hex.encode([0x00, 0x0f, 0xf0, 0xff]) == "000ff0ff")
        #expect(Hex.decode("") == [])
    }

    @Test(arguments: ["a", "abc", "AB", "0g", "0x", " 0", "é", "+1"])
    func otherTextIsNone(_ text: String) { #expect(Hex.decode(text) == nil) }
}
