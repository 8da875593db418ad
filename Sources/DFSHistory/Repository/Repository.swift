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
    /// This host's folder for the store.
    package let cacheDirectory: String
    private let refreshing = Lock()
    private let learning: Learning
    /// Sets with their bases, so that a history of many versions is not walked for each of them.
    private let packSets = BoundedCache<ObjectAddress, Set<PackID>>(limit: 1 << 18)

    package var root: String { backend.root }
    package var id: StoreID { description.store }

    /// What uncompressed copies for sealed views hold (DFSSealedView).
    package static let hotTable = "hot"

    /// Changes when what this program keeps in the index changes its form.
    private static let indexSchema = "8"
    private static let tables = ObjectStore.indexTables + Learning.tables + [StatCache.table, hotTable]

    private init(
        backend: DirectoryBackend, description: StoreDescription, storeFileDigest: Digest, index: Index,
        cacheDirectory: String, cacheBytes: Int
    ) throws(DFSError) {
        self.backend = backend
        self.cacheDirectory = cacheDirectory
        self.description = description
        self.index = index
        objects = ObjectStore(backend: backend, description: description, index: index)
        reader = TreeReader(store: objects, cacheBytes: cacheBytes)
        let saved = try Learning.savedState(index)
        ledger = Ledger(
            backend: backend, store: description.store, storeFileDigest: storeFileDigest, state: saved)
        learning = Learning(index: index, objects: objects, ledger: ledger, saved: saved?.head)
    }

    // MARK: Making and opening

    private static let folders = ["packs", "ledger", "live", "tmp"]

    /// Makes a store in `root`, which must be absent, empty or where an interrupted `create` stopped, and records its
    /// creation with `signer`.
    package static func create(
        at root: String, signer: any Signer, parameters: StoreParameters = .standard
    ) throws(DFSError) {
        if Files.exists(root + "/" + StoreDescription.key) {
            throw DFSError(.refused, "\(root) is a store already", hint: "dfs --store \(root) ls")
        }
        if Files.exists(root) {
            guard Files.isDirectory(root), try isUnbegun(root) else {
                throw DFSError(
                    .refused, "\(root) is not an empty directory", cause: "a store needs one of its own",
                    hint: "dfs init \(root)/store")
            }
        }
        try Files.makeDirectories(root, mode: 0o755)
        for folder in folders { try Files.makeDirectories(root + "/" + folder, mode: 0o755) }
        let description = StoreDescription(store: StoreID(.make()), created: Clock.now(), parameters: parameters)
        let backend = DirectoryBackend(root: root)
        let bytes = description.encode()
        guard try backend.putIfAbsent(StoreDescription.key, bytes) else {
            throw DFSError(
                .refused, "somebody else made a store in \(root) at this moment", hint: "dfs --store \(root) ls")
        }
        let ledger = Ledger(backend: backend, store: description.store, storeFileDigest: Digest.of(bytes))
        try ledger.create(signer: signer)
    }

    /// Whether a directory holds nothing but folders of a store in which nothing was recorded: `dfs-store.json` is made last.
    private static func isUnbegun(_ root: String) throws(DFSError) -> Bool {
        for name in try DirectoryListing.names(of: root) {
            let name = NameText.encode(name)
            guard folders.contains(name) else { return false }
            if name != "tmp", try !DirectoryListing.names(of: root + "/" + name).isEmpty { return false }
        }
        return true
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
        let cacheDirectory = cacheRoot + "/" + description.store.description
        let index = try Index.open(
            directory: cacheDirectory + "/index",
            identity: "\(description.store) \(indexSchema) \(Files.resolved(root) ?? root)", tables: tables)
        return try Repository(
            backend: backend, description: description, storeFileDigest: Digest.of(bytes), index: index,
            cacheDirectory: cacheDirectory, cacheBytes: cacheBytes)
    }

    // MARK: State

    /// What the ledger says now. Reads what others appended; the packs they name enter this host's index.
    package func state() throws(DFSError) -> LedgerState {
        try refreshing.hold { () throws(DFSError) in
            let state = try self.ledger.refresh()
            try self.learning.take(state)
            return state
        }
    }

    /// Takes into the index what a finished append has made part of the store. The entry stands: a cache that cannot be
    /// written costs time later and is no failure.
    package func remember(_ finished: StoreWriter.Finished) {
        try? objects.learn(tables: finished.tables)
        objects.noteWritten(finished.written)
    }

    /// The stat cache of a dataset or project whose latest content is `latest`, in `state`.
    package func statCache(scope: String, latest: RecordReference?, in state: LedgerState) throws(DFSError) -> StatCache
    {
        try StatCache(
            index: index, scope: scope, latest: latest?.packs, heeding: state.condemnations.newest,
            base: { set throws(DFSError) in
                try PackSet.decode(try self.objects.kept(set, what: "a pack set")).base
            },
            isStruck: { event, heeded throws(DFSError) in
                guard heeded < state.condemnations.newest else { return false }
                return try !self.condemned(of: event, after: heeded, in: state).isEmpty
            })
    }

    /// The journal of captures of a dataset, so that an interrupted one can be resumed.
    package func ingestJournal(scope: String, threads: Int) -> IngestJournal? {
        IngestJournal.open(directory: cacheDirectory + "/ingest", scope: scope, threads: threads)
    }

    /// Bytes in packs that an interrupted capture of a dataset has published and the next one need not write.
    package func resumableBytes(scope: String) -> UInt64 {
        let packs = ingestJournal(scope: scope, threads: 1)?.packs ?? []
        return Set(packs).reduce(0) { $0 + ((try? backend.length(of: PackIndex.packKey($1))) ?? 0) }
    }

    /// Appends to the ledger; `events` is called with the state that the entry will follow, again if another came first.
    /// For events that record content there is `record`.
    @discardableResult
    package func append(
        by signer: any Signer, _ events: (LedgerState) throws(DFSError) -> [LedgerEvent]?
    ) throws(DFSError) -> LedgerEntry? {
        #if DEBUG || DFS_DEFECTS
            let entry = try ledger.append(signer: signer, makeEvents: events)
            try Defect.catchUp()
            return entry
        #else
            return try ledger.append(signer: signer, makeEvents: events)
        #endif
    }

    // MARK: Pack sets

    /// All packs of one recording event, as things stand: the set with its bases and the pack written with it, without what
    /// `state` says is condemned, with what stands in for that.
    package func packs(of record: RecordReference, in state: LedgerState) throws(DFSError) -> Set<PackID> {
        state.condemnations.standing(try packs(in: record.packs).union([record.pack]))
    }

    /// The packs of a set, with its bases, as they were named.
    func packs(in first: ObjectAddress) throws(DFSError) -> Set<PackID> {
        var chain = [PackSet]()
        var next: ObjectAddress? = first
        var seen = Set<ObjectAddress>()
        var packs = Set<PackID>()
        while let address = next {
            if let known = packSets[address] {
                packs = known
                break
            }
            guard seen.insert(address).inserted else {
                throw DFSError(.corrupt, "pack set \(address) is its own base", hint: "dfs verify")
            }
            let set = try PackSet.decode(try objects.kept(address, what: "a pack set"))
            chain.append(set)
            next = set.base
        }
        for set in chain.reversed() {
            packs.formUnion(set.added)
            packs.subtract(set.removed)
        }
        packSets.insert(packs, for: first, cost: packs.count + 8)
        return packs
    }

    /// The fields of a text object; none when there is no text.
    package func text(_ address: ObjectAddress?) throws(DFSError) -> [String: JSONValue] {
        guard let address else { return [:] }
        return try TextObject.parse(try objects.kept(address, what: "a text")).fields
    }
}
