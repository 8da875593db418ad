import DFSChunking
import DFSModel
import DFSRemote
import DFSSystem
import Glibc
import Synchronization

/// Stores the content of one commit, snapshot or run: chunks through lanes (one per thread), metadata through itself.
///
/// Deduplicates against what the index knows (packs that the ledger reaches) and against what this writer has
/// stored. Nothing is part of the store until `finish` has returned and a ledger entry names its packs.
package final class StoreWriter: Sendable {
    package let store: ObjectStore

    enum Claim: Equatable {
        /// The caller must store it.
        case new
        /// This writer has stored it or is about to.
        case own
        /// A pack that the ledger reaches has it.
        case known
    }

    private static let shards = 64
    private let claimed: [Shard]
    private let usedPacks = Mutex<Set<PackID>>([])
    /// Set when it has ended.
    private let isAbandoned = Atomic<Bool>(false)
    private let metadata: MetadataPack
    private let finished = Mutex<[PackIndex]>([])
    /// What packs hold that an interrupted writer of this host has published.
    private let adopted = Mutex<Adopted>(Adopted())
    private let stamps = Mutex<[(pack: PackID, stamp: FileStamp)]>([])
    private let hasAdopted = Atomic<Bool>(false)
    private let published = Mutex<(@Sendable (PackID) -> Void)?>(nil)
    private let refused = Mutex<(@Sendable (PackID) -> Void)?>(nil)
    /// One large file at a time: each uses all cores and some windows of memory.
    let largeFile = Lock()

    /// Bytes of content that went into packs, after compression.
    package let storedBytes = Counter()
    package let newChunks = Counter()

    package init(store: ObjectStore) {
        self.store = store
        claimed = (0..<Self.shards).map { _ in Shard() }
        metadata = MetadataPack(store: store)
    }

    /// A writer of content for one thread.
    package func lane() -> Lane { Lane(writer: self) }

    // MARK: Deduplication

    /// A part of the set of digests, so that threads seldom wait for each other.
    private final class Shard: Sendable { let digests = Mutex<Set<Digest>>([]) }

    private func shard(of digest: Digest) -> Shard { claimed[Int(digest.words.0 % UInt64(Self.shards))] }

    private struct Adopted {
        var packs = [PackIndex]()
        var used = Set<Int>()
        var places = [Digest: Int]()
    }

    /// Makes use of packs that an interrupted writer of this host has published and no entry names. Those that are needed
    /// are made durable again by `finish`: the fsync of that writer may have failed unheard, or that of the directory
    /// never come. What is not whole, or condemned, is passed over.
    package func adopt(_ packs: [PackID]) throws(DFSError) {
        for pack in Set(packs).sorted() {
            guard try !store.table.knows(pack), try !store.table.isCondemned(pack),
                let table = try? store.readIndex(pack),
                let length = try? store.backend.length(of: PackIndex.packKey(pack)), length == table.packLength
            else { continue }
            adopted.withLock { adopted in
                let number = adopted.packs.count
                adopted.packs.append(table)
                for i in 0..<table.count { adopted.places[table[i].digest] = number }
            }
            hasAdopted.store(true, ordering: .releasing)
        }
    }

    /// Whether an adopted pack has it, which is then needed.
    private func useAdopted(_ digest: Digest) -> Bool {
        guard hasAdopted.load(ordering: .acquiring) else { return false }
        return adopted.withLock { adopted in
            guard let pack = adopted.places[digest] else { return false }
            adopted.used.insert(pack)
            return true
        }
    }

    /// Calls `published` with each pack once it is durable, `refused` with an adopted one that could not be made so: the kernel
    /// may have dropped what it held of it, and a later fsync would not tell.
    package func observe(
        published: @escaping @Sendable (PackID) -> Void, refused: @escaping @Sendable (PackID) -> Void
    ) {
        self.published.withLock { $0 = published }
        self.refused.withLock { $0 = refused }
    }

    private func settle(_ packs: [PackIndex]) throws(DFSError) {
        for pack in packs {
            do throws(DFSError) {
                try store.backend.settle(PackIndex.packKey(pack.id))
                try store.backend.settle(PackIndex.indexKey(pack.id))
            } catch {
                refused.withLock { $0 }?(pack.id)
                throw error
            }
        }
    }

    func claim(_ digest: Digest) throws(DFSError) -> Claim {
        guard !isAbandoned.load(ordering: .relaxed) else {
            throw DFSError(.operational, "cannot go on storing", cause: "it has ended, or an earlier part of it failed")
        }
        let shard = shard(of: digest)
        if shard.digests.withLock({ $0.contains(digest) }) { return .own }
        if let place = try store.table.lastingPlace(of: digest) {
            noteUse(of: place.pack)
            return .known
        }
        if useAdopted(digest) { return .known }
        return shard.digests.withLock { $0.insert(digest).inserted } ? .new : .own
    }

    /// Whether the store or this writer has it.
    func holds(_ digest: Digest) throws(DFSError) -> Bool {
        if shard(of: digest).digests.withLock({ $0.contains(digest) }) { return true }
        return try store.table.lastingPlace(of: digest) != nil || adopted.withLock { $0.places[digest] != nil }
    }

    private func noteUse(of pack: PackID) { usedPacks.withLock { _ = $0.insert(pack) } }

    /// Says that content stored before is referred to again; `false` when it is not there.
    package func use(_ digest: Digest) throws(DFSError) -> Bool {
        if shard(of: digest).digests.withLock({ $0.contains(digest) }) { return true }
        guard let place = try store.table.lastingPlace(of: digest) else { return useAdopted(digest) }
        noteUse(of: place.pack)
        return true
    }

    // MARK: Metadata

    /// Stores a metadata object.
    @discardableResult
    package func put(_ object: [UInt8]) throws(DFSError) -> ObjectAddress {
        let digest = Digest.of(object)
        if try claim(digest) == .new { try metadata.append(object, digest) }
        return ObjectAddress(digest)
    }

    @discardableResult
    package func put(_ json: JSONValue) throws(DFSError) -> ObjectAddress { try put(json.canonicalBytes) }

    /// Stores an object into this writer's own metadata pack even when it is known elsewhere, so that the entry's pack
    /// alone is enough to read it: records, texts and pack sets.
    package func putHere(_ object: [UInt8]) throws(DFSError) -> ObjectAddress {
        let digest = Digest.of(object)
        try metadata.append(object, digest)
        return ObjectAddress(digest)
    }

    package func putHere(_ json: JSONValue) throws(DFSError) -> ObjectAddress { try putHere(json.canonicalBytes) }

    // MARK: Finishing

    func note(finished index: PackIndex) {
        finished.withLock { $0.append(index) }
        let own = store.stamps(of: [index.id])
        stamps.withLock { $0 += own }
        published.withLock { $0 }?(index.id)
    }

    package struct Finished: Sendable {
        /// The pack set object: everything but `pack`.
        package let packs: ObjectAddress
        /// The metadata pack that was written last.
        package let pack: PackID
        /// The tables of all packs written, for the host's index once the ledger names them.
        package let tables: [PackIndex]
        /// The packs that this writer wrote, as they were then; others were adopted.
        package let written: [(pack: PackID, stamp: FileStamp)]
        /// All packs that were written or relied on; those of the base are not among them.
        package let rests: Set<PackID>
    }

    /// Publishes all packs. Call when every lane has finished.
    ///
    /// `base` is the pack set of the content that this one extends and the metadata pack written with it.
    package func finish(base: (packs: ObjectAddress, pack: PackID)?) throws(DFSError) -> Finished {
        let used = usedPacks.withLock { $0 }
        var added = used
        let relied = adopted.withLock { adopted in adopted.used.sorted().map { adopted.packs[$0] } }
        try settle(relied)
        let content = finished.withLock { $0 } + relied
        for table in content { added.insert(table.id) }
        if let base { added.insert(base.pack) }
        let set = try putHere(PackSet(base: base?.packs, added: added).encode())
        let last = try metadata.finish()
        // Not told to a journal: it is small, and of use to this entry only.
        finished.withLock { $0.append(last) }
        close()
        return Finished(
            packs: set, pack: last.id, tables: content + [last],
            written: stamps.withLock { $0 } + store.stamps(of: [last.id]),
            rests: used.union((content + [last]).map(\.id)))
    }

    /// From here on nothing can be stored; what was claimed need not be held.
    private func close() {
        isAbandoned.store(true, ordering: .relaxed)
        for shard in claimed { shard.digests.withLock { $0 = [] } }
    }

    /// Gives up, when no entry names anything of this writer: refuses to store more, since what its lanes had claimed may
    /// never have been written, and removes the packs that it has published unless they are kept for the next attempt. Best
    /// effort: what stays is garbage. Adopted packs stay: an entry may name them that this host has not read.
    package func abandon(keepingPacks: Bool = false) {
        close()
        if keepingPacks { return }
        let packs = finished.withLock { finished in
            defer { finished = [] }
            return finished
        }
        for pack in packs {
            try? store.backend.remove(PackIndex.indexKey(pack.id))
            try? store.backend.remove(PackIndex.packKey(pack.id))
        }
    }
}

/// The metadata pack of one writer. `lock` guards `pack` and `written`.
private final class MetadataPack: @unchecked Sendable {
    private let store: ObjectStore
    private let lock = Lock()
    private var pack: PackWriter?
    private var written = Set<Digest>()

    init(store: ObjectStore) { self.store = store }

    func append(_ object: [UInt8], _ digest: Digest) throws(DFSError) {
        let frame = try withBytes(of: object) { (bytes) throws(DFSError) in
            try Zstd.compress(bytes, level: self.store.parameters.zstdLevel)
        }
        try lock.hold { () throws(DFSError) in
            guard written.insert(digest).inserted else { return }
            let target: PackWriter
            if let pack { target = pack } else { target = try PackWriter(backend: store.backend, kind: .metadata) }
            pack = target
            target.note(digest, storedLength: frame.count, length: object.count, codec: .zstd)
            try target.write(frame)
        }
    }

    func finish() throws(DFSError) -> PackIndex {
        try lock.hold { () throws(DFSError) in
            guard let pack else { throw DFSError(.operational, "nothing was written") }
            defer { self.pack = nil }
            return try pack.finish()
        }
    }
}
