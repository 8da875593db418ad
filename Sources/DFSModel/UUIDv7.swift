/// A time-ordered UUID (RFC 9562, version 7), written with dashes in lowercase.
package struct UUIDv7: Hashable, Sendable, CustomStringConvertible {
    package let text: String

    /// Builds an id from a time and ten random bytes.
    package init(milliseconds: UInt64, random: [UInt8]) {
        var bytes = [UInt8]()
        for shift in stride(from: 40, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: milliseconds >> UInt64(shift)))
        }
        bytes += random.prefix(10)
        while bytes.count < 16 { bytes.append(0) }
        bytes[6] = 0x70 | bytes[6] & 0x0f
        bytes[8] = 0x80 | bytes[8] & 0x3f
        let hex = Hex.encode(bytes)
        var out = ""
        for (i, character) in hex.enumerated() {
            if i == 8 || i == 12 || i == 16 || i == 20 { out.append("-") }
            out.append(character)
        }
        text = out
    }

    /// `nil` unless `text` is a lowercase UUID of version 7.
    package init?(_ text: some StringProtocol) {
        let characters = Array(text.utf8)
        guard characters.count == 36, characters[14] == UInt8(ascii: "7"), "89ab".utf8.contains(characters[19]) else {
            return nil
        }
        for (i, c) in characters.enumerated() {
            let dash = i == 8 || i == 13 || i == 18 || i == 23
            let hex = (0x30...0x39).contains(c) || (0x61...0x66).contains(c)
            guard dash ? c == UInt8(ascii: "-") : hex else { return nil }
        }
        self.text = String(text)
    }

    package var description: String { text }

    /// The 32 hexadecimal digits without dashes.
    package var digits: String { text.filter { $0 != "-" } }
}

/// Names a store for ever; replicas share it.
package struct StoreID: Hashable, Sendable, CustomStringConvertible {
    package let uuid: UUIDv7
    package init(_ uuid: UUIDv7) { self.uuid = uuid }
    package var description: String { uuid.text }
}

/// Names a run.
package struct RunID: Hashable, Sendable, CustomStringConvertible {
    package let uuid: UUIDv7
    package init(_ uuid: UUIDv7) { self.uuid = uuid }
    package init?(_ text: some StringProtocol) {
        guard let uuid = UUIDv7(text) else { return nil }
        self.uuid = uuid
    }
    package var description: String { uuid.text }
}
