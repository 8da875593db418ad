import DFSLedger
import DFSSystem
import Testing

struct Base64Tests {
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func knownTexts(plain: String, encoded: String) {
        #expect(Base64.encode(Array(plain.utf8)) == encoded)
        #expect(Base64.decode(encoded) == Array(plain.utf8))
    }

    @Test func roundTripOfEveryLength() {
        for length in 0...130 {
            let bytes = Randomness.bytes(length)
            for padded in [true, false] {
                #expect(Base64.decode(Base64.encode(bytes, padded: padded), padded: padded) == bytes)
            }
            #expect(Base64.dearmor(Base64.armor(bytes, label: "X"), label: "X") == bytes)
        }
    }

    @Test(arguments: ["Zg", "Zg=", "Zh==", "Zm9=", "Zm8", "Z===", "====", "Zm 9v", "Zm9v=", "Zm9v====", "Zm-_", "Z"])
    func otherThanCanonicalIsRefused(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test(arguments: ["Zg==", "Zh", "Zm9", "Z"])
    func otherThanCanonicalWithoutPaddingIsRefused(text: String) {
        #expect(Base64.decode(text, padded: false) == nil)
    }
}
