import DFSModel

extension LedgerEvent {
    /// A version, or all versions that a dataset has, were taken out of it.
    package struct DatasetRemoved: Sendable, Hashable {
        package let dataset: String
        /// `nil`: all.
        package let version: Int?
        /// Holds the reason.
        package let text: ObjectAddress
        /// A set of no packs besides `pack`, which holds the text.
        package let packs: ObjectAddress
        package let pack: PackID
        package let heeded: UInt64

        package init(
            dataset: String, version: Int?, text: ObjectAddress, packs: ObjectAddress, pack: PackID, heeded: UInt64 = 0
        ) {
            self.dataset = dataset
            self.version = version
            self.text = text
            self.packs = packs
            self.pack = pack
            self.heeded = heeded
        }
    }

    /// Packs are needed no more: no later event may name them, and after a grace they are deleted.
    package struct PacksCondemned: Sendable, Hashable {
        package let packs: [PackID]
        /// By condemned pack, those in which its content that is still needed lies.
        package let replacements: [PackID: [PackID]]
        /// The entry up to which the writer had looked for what is needed.
        package let seen: UInt64
        package let heeded: UInt64

        package init(packs: [PackID], replacements: [PackID: [PackID]], seen: UInt64, heeded: UInt64 = 0) {
            self.packs = packs.sorted()
            self.replacements = replacements.mapValues { $0.sorted() }
            self.seen = seen
            self.heeded = heeded
        }
    }

    /// Condemned packs are deleted.
    package struct PacksDeleted: Sendable, Hashable {
        /// The entry that condemned them.
        package let condemned: UInt64
        package let packs: [PackID]

        package init(condemned: UInt64, packs: [PackID]) {
            self.condemned = condemned
            self.packs = packs.sorted()
        }
    }
}

extension JSONFields {
    /// The member `heeded`; 0 where it is absent.
    func heeded() throws(DFSError) -> UInt64 { has("heeded") ? UInt64(try number("heeded")) : 0 }

    /// Pack ids in order, each once.
    fileprivate func packs(_ name: String) throws(DFSError) -> [PackID] {
        guard let packs = Self.packs(.array(try array(name))) else { throw malformed(name) }
        return packs
    }

    fileprivate static func packs(_ json: JSONValue) -> [PackID]? {
        guard let array = json.array else { return nil }
        let ids = array.compactMap { $0.digest.map { PackID($0) } }
        guard ids.count == array.count, zip(ids, ids.dropFirst()).allSatisfy({ $0 < $1 }) else { return nil }
        return ids
    }
}

private func json(_ packs: [PackID]) -> JSONValue { .array(packs.map { .string($0.digest.text) }) }

/// The member `heeded`; none for 0.
func heededMember(_ sequence: UInt64) -> [String: JSONValue] {
    sequence == 0 ? [:] : ["heeded": .integer(Int64(sequence))]
}

extension LedgerEvent.DatasetRemoved {
    init(_ fields: JSONFields) throws(DFSError) {
        self.init(
            dataset: try fields.text("dataset"), version: fields.has("version") ? try fields.number("version") : nil,
            text: ObjectAddress(try fields.digest("text")), packs: ObjectAddress(try fields.digest("packs")),
            pack: PackID(try fields.digest("pack")), heeded: try fields.heeded())
    }

    var members: [String: JSONValue] {
        var members: [String: JSONValue] = [
            "dataset": .string(dataset), "text": .string(text.digest.text), "packs": .string(packs.digest.text),
            "pack": .string(pack.digest.text),
        ]
        if let version { members["version"] = .integer(Int64(version)) }
        return members.merging(heededMember(heeded)) { $1 }
    }
}

extension LedgerEvent.PacksCondemned {
    init(_ fields: JSONFields) throws(DFSError) {
        var replacements = [PackID: [PackID]]()
        for (pack, list) in try fields.members(of: "replacements") {
            guard let digest = Digest(text: pack), let packs = JSONFields.packs(list), !packs.isEmpty else {
                throw fields.malformed("replacements")
            }
            replacements[PackID(digest)] = packs
        }
        self.init(
            packs: try fields.packs("packs"), replacements: replacements, seen: try fields.count("seen"),
            heeded: try fields.heeded())
    }

    var members: [String: JSONValue] {
        let replacements = replacements.map { ($0.key.digest.text, json($0.value)) }
        return [
            "packs": json(packs), "replacements": .object(Dictionary(uniqueKeysWithValues: replacements)),
            "seen": .integer(Int64(clamping: seen)),
        ].merging(heededMember(heeded)) { $1 }
    }
}

extension LedgerEvent.PacksDeleted {
    init(_ fields: JSONFields) throws(DFSError) {
        self.init(condemned: try fields.count("condemned"), packs: try fields.packs("packs"))
    }

    var members: [String: JSONValue] { ["condemned": .integer(Int64(clamping: condemned)), "packs": json(packs)] }
}
