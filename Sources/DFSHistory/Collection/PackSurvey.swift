import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem

/// The packs that stand in a store, and what the ledger says of them.
struct PackSurvey {
    enum Standing: Sendable {
        /// An entry names it, and it is not condemned.
        case named
        case condemned
        /// No entry names it: left by an interrupted commit, or somebody's commit in progress.
        case unnamed
    }

    struct Pack: Sendable {
        let id: PackID
        let standing: Standing
        /// Bytes on disk, table included.
        var bytes: UInt64 = 0
        /// Of the pack alone; `nil` where it is missing.
        var length: UInt64?
        var hasTable = false
        /// When it was written, by the store's clock.
        var modified = Timestamp(seconds: 0, nanoseconds: 0)
    }

    /// By id.
    let packs: [PackID: Pack]
    /// Packs that entries name and that are not condemned, whether they are there or not.
    let named: Set<PackID>

    init(_ repository: Repository, _ state: LedgerState) throws(DFSError) {
        named = try Self.named(repository, state)
        var packs = [PackID: Pack]()
        for key in try repository.backend.list("packs/") {
            guard let (id, isTable) = Self.parse(key),
                let status = try FileStatus.of(path: repository.backend.path(key))
            else { continue }
            let standing: Standing =
                named.contains(id) ? .named : state.condemnations.contains(id) ? .condemned : .unnamed
            var pack = packs[id] ?? Pack(id: id, standing: standing)
            pack.bytes += status.size
            pack.modified = max(pack.modified, status.modified)
            if isTable { pack.hasTable = true } else { pack.length = status.size }
            packs[id] = pack
        }
        self.packs = packs
    }

    private static func parse(_ key: String) -> (id: PackID, isTable: Bool)? {
        for (suffix, isTable) in [(".pack", false), (".idx", true)] where key.hasSuffix(suffix) {
            let name = key.dropLast(suffix.count).split(separator: "/").last ?? ""
            guard let id = Digest(hex: name).map({ PackID($0) }) else { return nil }
            return key == (isTable ? PackIndex.indexKey(id) : PackIndex.packKey(id)) ? (id, isTable) : nil
        }
        return nil
    }

    /// What the entries of a state name, as things stand.
    private static func named(_ repository: Repository, _ state: LedgerState) throws(DFSError) -> Set<PackID> {
        var named = Set<PackID>()
        for mark in state.packSets { named.formUnion(try repository.ownPacks(mark.packs, mark.pack)) }
        for condemnation in state.condemnations.all { named.formUnion(condemnation.replacements.values.joined()) }
        for event in try repository.rejectedEvents(of: state) {
            if let pack = event["pack"]?.digest { named.insert(PackID(pack)) }
        }
        return state.condemnations.standing(named)
    }
}

extension Repository {
    /// The packs that one event itself names: what its set adds to the base, and its own.
    func ownPacks(_ set: ObjectAddress, _ pack: PackID) throws(DFSError) -> Set<PackID> {
        Set(try PackSet.decode(try objects.object(set, what: "a pack set")).added).union([pack])
    }
}
