import DFSModel

/// The packs that an entry's content needs, as a difference to another set (FORMAT.md §6).
package struct PackSet: Sendable, Equatable {
    package var base: ObjectAddress?
    package var added: [PackID]
    package var removed: [PackID]

    package init(base: ObjectAddress?, added: some Sequence<PackID>, removed: some Sequence<PackID> = []) {
        self.base = base
        self.added = added.sorted()
        self.removed = removed.sorted()
    }

    package func encode() -> [UInt8] {
        let json: JSONValue = [
            "format": "dfs.packs/1", "base": base.map { .string($0.digest.text) } ?? .null,
            "added": .array(added.map { .string($0.digest.hex) }),
            "removed": .array(removed.map { .string($0.digest.hex) }),
        ]
        return json.canonicalBytes
    }

    package static func decode(_ bytes: [UInt8]) throws(DFSError) -> PackSet {
        let json = try JSONValue.parseCanonical(bytes)
        func list(_ name: String) -> [PackID]? {
            guard let array = json[name]?.array else { return nil }
            let ids = array.compactMap { $0.string.flatMap { Digest(hex: $0) }.map { PackID($0) } }
            return ids.count == array.count ? ids : nil
        }
        guard json["format"]?.string == "dfs.packs/1", let added = list("added"), let removed = list("removed"),
            let base = json["base"], base == .null || base.digest != nil
        else { throw DFSError(.corrupt, "malformed pack set") }
        guard added == added.sorted(), removed == removed.sorted() else {
            throw DFSError(.corrupt, "malformed pack set", cause: "its lists are not in order")
        }
        return PackSet(base: base.digest.map { ObjectAddress($0) }, added: added, removed: removed)
    }
}
