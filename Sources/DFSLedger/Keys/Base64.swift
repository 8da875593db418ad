/// Base64 (RFC 4648 §4), canonical only: one text for each sequence of bytes.
package enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    package static func encode(_ bytes: [UInt8], padded: Bool = true) -> String {
        var out = [UInt8]()
        out.reserveCapacity((bytes.count + 2) / 3 * 4)
        var i = 0
        while i < bytes.count {
            let group = bytes[i..<min(i + 3, bytes.count)]
            var word: UInt32 = 0
            for byte in group { word = word << 8 | UInt32(byte) }
            word <<= UInt32(8 * (3 - group.count))
            for k in 0...group.count { out.append(alphabet[Int(word >> UInt32(18 - 6 * k)) & 63]) }
            if padded { out += [UInt8](repeating: UInt8(ascii: "="), count: 3 - group.count) }
            i += 3
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// `nil` when a character is foreign, the padding is not exactly what `padded` asks for, or unused bits are set.
    package static func decode(_ text: some StringProtocol, padded: Bool = true) -> [UInt8]? {
        var source = Array(text.utf8)
        if padded {
            guard source.count.isMultiple(of: 4) else { return nil }
            for _ in 0..<2 where source.last == UInt8(ascii: "=") { source.removeLast() }
        }
        guard source.count % 4 != 1 else { return nil }
        var out = [UInt8]()
        out.reserveCapacity(source.count / 4 * 3 + 2)
        var bits: UInt32 = 0
        var held: UInt32 = 0
        for character in source {
            guard let value = value(character) else { return nil }
            bits = bits << 6 | value
            held += 6
            if held >= 8 {
                held -= 8
                out.append(UInt8(truncatingIfNeeded: bits >> held))
                bits &= (1 << held) - 1
            }
        }
        return bits == 0 ? out : nil
    }

    private static func value(_ character: UInt8) -> UInt32? {
        switch character {
        case 0x41...0x5a: UInt32(character) - 0x41
        case 0x61...0x7a: UInt32(character) - 0x61 + 26
        case 0x30...0x39: UInt32(character) - 0x30 + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }

    /// Between `-----BEGIN <label>-----` and `-----END <label>-----`, in lines of 70 characters, as OpenSSH writes.
    package static func armor(_ bytes: [UInt8], label: String) -> String {
        var rest = encode(bytes)[...]
        var text = "-----BEGIN \(label)-----\n"
        while !rest.isEmpty {
            text += rest.prefix(70) + "\n"
            rest = rest.dropFirst(70)
        }
        return text + "-----END \(label)-----\n"
    }

    /// What `armor` enclosed, whatever the length of the lines; `nil` when the lines around it are not those of
    /// `label`.
    package static func dearmor(_ text: String, label: String) -> [UInt8]? {
        let lines = text.split { $0 == "\n" || $0 == "\r\n" || $0 == "\r" }
        guard lines.count >= 2, lines.first == "-----BEGIN \(label)-----", lines.last == "-----END \(label)-----"
        else { return nil }
        return decode(lines.dropFirst().dropLast().joined())
    }
}
