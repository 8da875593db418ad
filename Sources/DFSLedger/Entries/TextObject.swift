import DFSChunking
import DFSModel
import DFSSystem

/// What may be personal, apart from the entry that commits to it by digest (FORMAT.md §7.4).
package struct TextObject: Sendable, Hashable {
    package static let format = "dfs.text/1"

    package let fields: [String: JSONValue]
    /// 64 hexadecimal digits: keeps a short text from being guessed once it has been removed.
    package let salt: String

    /// A text with a new random salt, so that equal fields give different objects.
    package init(fields: [String: JSONValue]) {
        self.fields = fields
        salt = Randomness.hex(bytes: 32)
    }

    /// Reads the canonical bytes of a text object.
    package static func parse(_ bytes: [UInt8]) throws(DFSError) -> TextObject {
        let json = try JSONValue.parseCanonical(bytes)
        guard json["format"]?.string == format, let fields = json["fields"]?.object,
            let salt = json["salt"]?.string, Hex.decode(salt)?.count == 32
        else { throw DFSError(.corrupt, "malformed text object", cause: "a member is missing or malformed") }
        return TextObject(fields: fields, salt: salt)
    }

    private init(fields: [String: JSONValue], salt: String) {
        self.fields = fields
        self.salt = salt
    }

    package var encoded: [UInt8] {
        JSONValue.object(["fields": .object(fields), "format": .string(Self.format), "salt": .string(salt)])
            .canonicalBytes
    }

    /// What events name it by.
    package var address: ObjectAddress { ObjectAddress(.of(encoded)) }
}
