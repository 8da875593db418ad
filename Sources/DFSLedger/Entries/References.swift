import DFSModel

extension TreeReference {
    init(_ fields: JSONFields) throws(DFSError) {
        self.init(
            content: ContentDigest(try fields.digest("content")), tree: ObjectAddress(try fields.digest("tree")),
            files: try fields.count("files"), bytes: try fields.count("bytes"))
    }

    var members: [String: JSONValue] {
        [
            "content": .string(content.digest.text), "tree": .string(tree.digest.text),
            "files": .integer(Int64(clamping: files)), "bytes": .integer(Int64(clamping: bytes)),
        ]
    }
}

/// Where the record of an event, and all packs that its content needs, are found.
package struct RecordReference: Sendable, Hashable {
    /// The record (FORMAT.md §8).
    package let record: ObjectAddress
    /// The pack set (FORMAT.md §6).
    package let packs: ObjectAddress
    /// The metadata pack written with the entry, which holds the two above.
    package let pack: PackID
    /// The entry with the newest condemnation that the writer knew; 0: none. An append sets it.
    package let heeded: UInt64

    package init(record: ObjectAddress, packs: ObjectAddress, pack: PackID, heeded: UInt64 = 0) {
        self.record = record
        self.packs = packs
        self.pack = pack
        self.heeded = heeded
    }

    init(_ fields: JSONFields) throws(DFSError) {
        record = ObjectAddress(try fields.digest("record"))
        packs = ObjectAddress(try fields.digest("packs"))
        pack = PackID(try fields.digest("pack"))
        heeded = try fields.heeded()
    }

    var members: [String: JSONValue] {
        [
            "record": .string(record.digest.text), "packs": .string(packs.digest.text),
            "pack": .string(pack.digest.text),
        ].merging(heededMember(heeded)) { $1 }
    }
}

/// A version that a run reads, under a key of its own.
package struct RunInput: Sendable, Hashable {
    /// The name under `data/`.
    package let key: String
    package let dataset: String
    package let version: Int
    package let content: ContentDigest

    package init(key: String, dataset: String, version: Int, content: ContentDigest) {
        self.key = key
        self.dataset = dataset
        self.version = version
        self.content = content
    }

    init(_ fields: JSONFields) throws(DFSError) {
        key = try fields.text("key")
        dataset = try fields.text("dataset")
        version = try fields.number("version")
        content = ContentDigest(try fields.digest("content"))
    }

    var json: JSONValue {
        [
            "key": .string(key), "dataset": .string(dataset), "version": .integer(Int64(version)),
            "content": .string(content.digest.text),
        ]
    }
}

/// What a tag stands on.
package enum TagTarget: Sendable, Hashable {
    case version(dataset: String, number: Int)
    case run(RunID)
}

/// How a run ended.
package enum RunOutcome: String, Sendable, Hashable, CaseIterable {
    case succeeded, failed, interrupted
}
