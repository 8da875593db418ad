import DFSIndex
import DFSModel
import DFSRemote
import DFSSystem

/// Which packs this host has checked byte by byte, or written itself, and that nobody has changed since: for ways of serving in
/// which the kernel reads packs and nobody compares digests. Host-local and derived; what is not here is checked again.
struct VerifiedPacks: Sendable {
    static let table = "verified"
    private let index: Index

    init(index: Index) { self.index = index }

    func stamp(of pack: PackID) throws(DFSError) -> FileStamp? {
        try index.read { t throws(DFSError) in
            try t.get(Self.table, pack.digest.bytes).flatMap { FileStamp(bytes: $0) }
        }
    }

    func put(_ stamps: [(pack: PackID, stamp: FileStamp)]) throws(DFSError) {
        guard !stamps.isEmpty else { return }
        try index.write { t throws(DFSError) in
            for (pack, stamp) in stamps { try t.put(Self.table, pack.digest.bytes, stamp.bytes) }
        }
    }

    func remove(_ packs: [PackID]) throws(DFSError) {
        guard !packs.isEmpty else { return }
        try index.write { t throws(DFSError) in for pack in packs { try t.delete(Self.table, pack.digest.bytes) } }
    }
}

extension ObjectStore {
    /// The stamp of a pack's file; `nil` where it is no local file.
    package func stamp(of pack: PackID) throws(DFSError) -> FileStamp? {
        // Opened anew: an open one may be a file whose name another has taken.
        guard let file = try backend.open(PackIndex.packKey(pack)).descriptor else { return nil }
        return try FileStamp.of(file)
    }

    /// Whether this host has checked the bytes of an open pack and nobody has changed the file since.
    package func isVerified(_ pack: PackID, _ file: OwnedDescriptor) throws(DFSError) -> Bool {
        guard let known = try verified.stamp(of: pack) else { return false }
        return known == (try FileStamp.of(file))
    }

    /// Those whose bytes this host has not checked, or not since their files changed.
    package func unverified(_ packs: [PackID]) throws(DFSError) -> [PackID] {
        var out = [PackID]()
        for pack in packs {
            guard let known = try verified.stamp(of: pack), known == (try stamp(of: pack)) else {
                out.append(pack)
                continue
            }
        }
        return out
    }

    /// Notes packs that this process has written from bytes that it had hashed, with their stamps of when they were. A cache:
    /// failures are no failure.
    package func noteWritten(_ stamps: [(pack: PackID, stamp: FileStamp)]) { try? verified.put(stamps) }

    /// The stamps of those packs that can be looked at: to be taken before the bytes are read, so that whoever writes
    /// meanwhile leaves another.
    package func stamps(of packs: [PackID]) -> [(pack: PackID, stamp: FileStamp)] {
        packs.compactMap { pack in (try? stamp(of: pack)).flatMap { $0.map { (pack, $0) } } }
    }

    /// Notes packs that were checked, and forgets those that are damaged.
    package func noteVerified(_ stamps: [(pack: PackID, stamp: FileStamp)], except damaged: [PackID]) {
        let damaged = Set(damaged)
        // Who took the name of a pack meanwhile was perhaps not read.
        let checked = stamps.filter { !damaged.contains($0.pack) }
        try? verified.put(checked.filter { (try? stamp(of: $0.pack)) == $0.stamp })
        try? verified.remove(Array(damaged))
    }

    /// Reads and checks every byte of those packs that are not known as checked, gaps included. Throws `.corrupt` naming the
    /// first that is damaged. `bytes` counts what is read.
    package func verify(
        _ packs: [PackID], threads: Int = Workers.processorCount, bytes: Counter = Counter()
    ) throws(DFSError) {
        let pending = try unverified(packs)
        guard !pending.isEmpty else { return }
        let stamps = stamps(of: pending)
        // What is open may be a file whose name another has taken.
        for pack in pending { close(pack) }
        let findings = try PackChecker(store: self, bytes: bytes).check(pending, data: true, threads: threads)
        noteVerified(stamps, except: findings.map(\.pack))
        if let finding = findings.first {
            throw DFSError(
                .corrupt, "pack \(finding.pack) cannot be mapped", cause: finding.what, hint: "dfs verify --data")
        }
    }
}
