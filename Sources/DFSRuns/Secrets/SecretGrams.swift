/// Three bytes each that tell where a rule has to look: nearly all positions of a text are passed over by one look into a
/// table of bits.
///
/// Capitals count as small letters.
struct SecretGrams: @unchecked Sendable {
    enum Rule: Sendable {
        case token(TokenForm)
        case name(SecretName)
        case authorization, privateKey, jsonWebToken, url
    }

    struct Entry: Sendable {
        let rule: Rule
        /// How far the text that the rule begins with begins before the three bytes.
        let offset: Int
    }

    /// A bit for each hash of three bytes. Never freed.
    private let bits: UnsafePointer<UInt64>
    private let entries: [UInt32: [Entry]]

    static let shared = SecretGrams()

    // The memory is written before the value is shared and never after.
    private init() {
        var entries = [UInt32: [Entry]]()
        func add(_ text: [UInt8], _ offset: Int, _ rule: Rule) {
            let gram = (0..<3).reduce(UInt32(0)) { $0 | UInt32(text[offset + $1] | 0x20) << UInt32(8 * $1) }
            entries[gram, default: []].append(Entry(rule: rule, offset: offset))
        }
        for form in TokenForm.all { add(form.prefix, form.gram, .token(form)) }
        for name in SecretName.all { add(name.word, name.gram, .name(name)) }
        add(Array("authorization".utf8), 5, .authorization)
        add(Array("-----BEGIN ".utf8), 4, .privateKey)
        add(Array("eyJ".utf8), 0, .jsonWebToken)
        add(Array("://".utf8), 0, .url)
        let bits = UnsafeMutablePointer<UInt64>.allocate(capacity: Self.words)
        bits.initialize(repeating: 0, count: Self.words)
        for gram in entries.keys {
            let hash = Self.hash(gram)
            bits[hash >> 6] |= 1 << UInt64(hash & 63)
        }
        self.bits = UnsafePointer(bits)
        self.entries = entries
    }

    private static let words = 1024

    @inline(__always)
    private static func hash(_ gram: UInt32) -> Int { Int(truncatingIfNeeded: (gram &* 0x9e37_79b1) >> 16) }

    /// Calls `body` for each position in `range` where one of the grams begins. Four bytes after the last must be readable.
    @inline(__always)
    func forEach(in text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ body: (Int, [Entry]) -> Void) {
        guard let base = UnsafeRawPointer(text.baseAddress) else { return }
        let end = min(range.upperBound, text.count - 3)
        var i = range.lowerBound
        while i < end {
            let gram = (base.loadUnaligned(fromByteOffset: i, as: UInt32.self) | 0x2020_2020) & 0xff_ffff
            let hash = Self.hash(gram)
            if bits[hash >> 6] & (1 << UInt64(hash & 63)) != 0, let found = entries[gram] { body(i, found) }
            i += 1
        }
    }
}
