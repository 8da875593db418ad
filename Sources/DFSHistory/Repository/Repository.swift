import DFSChunking
import DFSIndex
import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem
import Synchronization

/// An opened store: its objects, its ledger, and this host's index of both.
///
/// Thread-safe. Holds no lock in the store; the index may be deleted at any time.
package final class Repository: Sendable {
    package let backend: DirectoryBackend
    package let description: StoreDescription
    package let objects: ObjectStore
    package let reader: TreeReader
    package let ledger: Ledger
    package let index: Index
    private let refreshing = Lock()

    package var root: String { backend.root }
    package var id: StoreID { description.store }

    /// Changes when what this program keeps in the index changes its form.
    private static let indexSchema = "1"
    private static let tables = ObjectStore.indexTables + [StatCache.table, "state"]

    private init(
        backend: DirectoryBackend, description: StoreDescription, storeFileDigest: Digest, index: Index,
        cacheBytes: Int
    ) throws(DFSError) {
        self.backend = backend
        self.description = description
        self.index = index
        objects = ObjectStore(backend: backend, description: description, index: index)
        reader = TreeReader(store: objects, cacheBytes: cacheBytes)
        let snapshot = try index.read { t throws(DFSError) in try t.get("state", Self.snapshotKey) }
        ledger = Ledger(
            backend: backend, store: description.store, storeFileDigest: storeFileDigest,
            state: snapshot.flatMap { try? LedgerState(snapshot: $0) })
    }

    // MARK: Making and opening

    /// Makes a store in `root`, which must be absent or empty, and records its creation with `signer`.
    package static func create(
        at root: String, signer: any Signer, parameters: StoreParameters = .standard, shared: Bool = false
    ) throws(DFSError) {
        if Files.exists(root + "/" + StoreDescription.key) {
            throw DFSError(.refused, "\(root) is a store already", hint: "dfs --store \(root) ls")
        }
        if Files.exists(root) {
            guard Files.isDirectory(root), try DirectoryListing.names(of: root).isEmpty else {
                throw DFSError(
                    .refused, "\(root) is not an empty directory", cause: "a store needs one of its own",
                    hint: "dfs init \(root)/store")
            }
        }
        for folder in ["", "/packs", "/ledger", "/live", "/tmp"] {
            try Files.makeDirectories(root + folder, mode: shared ? 0o2775 : 0o755)
        }
        let description = StoreDescription(store: StoreID(.make()), created: Clock.now(), parameters: parameters)
        let backend = DirectoryBackend(root: root)
        let bytes = description.encode()
        guard try backend.putIfAbsent(StoreDescription.key, bytes) else {
            throw DFSError(.refused, "somebody else made a store in \(root) at this moment")
        }
        let ledger = Ledger(backend: backend, store: description.store, storeFileDigest: Digest.of(bytes))
        try ledger.create(signer: signer)
    }

    /// Opens the store in `root`. `cacheRoot` is the host's cache folder; the store's own is made below it.
    package static func open(
        at root: String, cacheRoot: String, cacheBytes: Int = 64 << 20
    ) throws(DFSError) -> Repository {
        let backend = DirectoryBackend(root: root)
        guard let bytes = try backend.get(StoreDescription.key, limit: 1 << 20) else {
            var isFree = !Files.exists(root)
            if !isFree, let names = try? DirectoryListing.names(of: root) { isFree = names.isEmpty }
            throw DFSError(
                .noStore, "\(root) is not a store", cause: "there is no \(StoreDescription.key) in it",
                hint: "dfs init \(root)" + (isFree ? "" : "/store"))
        }
        let description = try StoreDescription.decode(bytes, location: root)
        let index = try Index.open(
            directory: cacheRoot + "/" + description.store.description + "/index",
            identity: "\(description.store) \(indexSchema)", tables: tables)
        return try Repository(
            backend: backend, description: description, storeFileDigest: Digest.of(bytes), index: index,
            cacheBytes: cacheBytes)
    }

    // MARK: State

    private static let snapshotKey = Array("snapshot".utf8)
    private static let learnedKey = Array("learned".utf8)
    /// Entries folded anew before the state is saved again.
    private static let saveEvery: UInt64 = 32

    /// What the ledger says now. Reads what others appended; the packs they name enter this host's index.
    package func state() throws(DFSError) -> LedgerState {
        try refreshing.hold { () throws(DFSError) in
            let state = try self.ledger.refresh()
            try self.learn(state)
            return state
        }
    }

    private func learn(_ state: LedgerState) throws(DFSError) {
        let learned = try index.read { t throws(DFSError) in
            try t.get("state", Self.learnedKey).flatMap { UInt64(String(decoding: $0, as: UTF8.self)) } ?? 0
        }
        guard learned < state.head.sequence else { return }
        for mark in state.packSets where mark.sequence > learned {
            try objects.learn([mark.pack])
            let set = try PackSet.decode(try objects.object(mark.packs, what: "the pack set of entry \(mark.sequence)"))
            try objects.learn(set.added)
        }
        let save = state.head.sequence / Self.saveEvery != learned / Self.saveEvery
        try index.write { t throws(DFSError) in
            try t.put("state", Self.learnedKey, Array(String(state.head.sequence).utf8))
            if save { try t.put("state", Self.snapshotKey, state.snapshot()) }
        }
    }

    /// Appends to the ledger; `events` is called with the state that the entry will follow, again if another came first.
    @discardableResult
    package func append(
        by signer: any Signer, _ events: (LedgerState) throws(DFSError) -> [LedgerEvent]?
    ) throws(DFSError) -> LedgerEntry? {
        try ledger.append(signer: signer, makeEvents: events)
    }

    // MARK: Pack sets

    /// All packs of one recording event: the set with its bases, and the pack written with it.
    package func packs(of record: RecordReference) throws(DFSError) -> Set<PackID> {
        var chain = [PackSet]()
        var next: ObjectAddress? = record.packs
        var seen = Set<ObjectAddress>()
        while let address = next {
            guard seen.insert(address).inserted else {
                throw DFSError(.corrupt, "pack set \(address) is its own base", hint: "dfs verify")
            }
            let set = try PackSet.decode(try objects.object(address, what: "a pack set"))
            chain.append(set)
            next = set.base
        }
        var packs = Set<PackID>()
        for set in chain.reversed() {
            packs.formUnion(set.added)
            packs.subtract(set.removed)
        }
        packs.insert(record.pack)
        return packs
    }

    /// The fields of a text object; none when there is no text.
    package func text(_ address: ObjectAddress?) throws(DFSError) -> [String: JSONValue] {
        guard let address else { return [:] }
        return try TextObject.parse(try objects.object(address, what: "a text")).fields
    }
}
