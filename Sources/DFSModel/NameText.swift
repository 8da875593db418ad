/// File names are bytes. This is their one reversible form as text, used in JSON:
/// bytes that are not part of valid UTF-8, and `%`, become `%XX`.
package enum NameText {
    package static func encode(_ name: some Collection<UInt8>) -> String {
        let bytes = Array(name)
        var out = [UInt8]()
        out.reserveCapacity(bytes.count)
        var i = 0
        while i < bytes.count {
            let length = validSequenceLength(bytes, at: i)
            if length == 0 || bytes[i] == UInt8(ascii: "%") {
                out += Array("%".utf8) + Array(Hex.encode([bytes[i]]).utf8)
                i += 1
            } else {
                out += bytes[i..<i + length]
                i += length
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// `nil` when a `%` is not followed by two lowercase hexadecimal digits.
    package static func decode(_ text: String) -> [UInt8]? {
        let source = Array(text.utf8)
        var out = [UInt8]()
        var i = 0
        while i < source.count {
            if source[i] == UInt8(ascii: "%") {
                guard i + 2 < source.count,
                    let byte = Hex.decode(String(decoding: source[i + 1...i + 2], as: UTF8.self))
                else { return nil }
                out += byte
                i += 3
            } else {
                out.append(source[i])
                i += 1
            }
        }
        return out
    }

    /// For a terminal: what is not UTF-8, controls, line separators and marks that reorder text become `\xNN`; all
    /// else, `%` and `\` included, is left alone. Not reversible.
    package static func display(_ name: some Collection<UInt8>) -> String {
        let bytes = Array(name)
        var out = [UInt8]()
        var i = 0
        while i < bytes.count {
            let length = validSequenceLength(bytes, at: i)
            if length == 0 || isUnsafe(bytes[i..<i + length]) {
                for byte in bytes[i..<i + max(length, 1)] { out += Array("\\x".utf8) + Array(Hex.encode([byte]).utf8) }
                i += max(length, 1)
            } else {
                out += bytes[i..<i + length]
                i += length
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Whether a valid sequence would act on a terminal rather than show.
    private static func isUnsafe(_ sequence: ArraySlice<UInt8>) -> Bool {
        switch Array(sequence) {
        case let s where s.count == 1: s[0] < 0x20 || s[0] == 0x7f
        case let s where s.count == 2: s[0] == 0xc2 && s[1] < 0xa0
        // U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069
        case let s where s[0] == 0xe2 && s[1] == 0x80: (0x8e...0x8f).contains(s[2]) || (0xa8...0xae).contains(s[2])
        case let s where s[0] == 0xe2 && s[1] == 0x81: (0xa6...0xa9).contains(s[2])
        default: false
        }
    }

    /// Length of the valid UTF-8 sequence that starts at `i`, or 0.
    private static func validSequenceLength(_ b: [UInt8], at i: Int) -> Int {
        let first = b[i]
        let length: Int
        switch first {
        case 0x00...0x7f: return 1
        case 0xc2...0xdf: length = 2
        case 0xe0...0xef: length = 3
        case 0xf0...0xf4: length = 4
        default: return 0
        }
        guard i + length <= b.count else { return 0 }
        for k in 1..<length where b[i + k] & 0xc0 != 0x80 { return 0 }
        let second = b[i + 1]
        switch first {
        case 0xe0 where second < 0xa0, 0xed where second > 0x9f: return 0
        case 0xf0 where second < 0x90, 0xf4 where second > 0x8f: return 0
        default: return length
        }
    }
}
