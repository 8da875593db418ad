import DFSChunking
import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem

/// Gives a store back its description and entries from a replica: a copy of the same store.
package struct LedgerRepair {
    private let own: DirectoryBackend
    private let replica: DirectoryBackend

    package init(root: String, replica: String) {
        own = DirectoryBackend(root: root)
        self.replica = DirectoryBackend(root: replica)
    }

    /// Puts lost or damaged files back and returns their names; nothing where the other is another store.
    ///
    /// Throws `.refused` where the replica's ledger is not whole or another history.
    package func run() throws(DFSError) -> [String] {
        guard let bytes = try replica.get(StoreDescription.key, limit: 1 << 20) else { return [] }
        let description = try StoreDescription.decode(bytes, location: replica.root)
        var files = [String]()
        let standing = try own.standing(StoreDescription.key, limit: 1 << 20)
        if standing != bytes {
            let isSound = standing.map { (try? StoreDescription.decode($0, location: own.root)) != nil } ?? false
            guard !isSound, try chains(to: Digest.of(bytes), of: description.store) else { return [] }
            try put(StoreDescription.key, bytes, replaces: standing != nil)
            files.append(StoreDescription.key)
        }
        let entries = try LedgerReplica(
            own: own, other: replica, store: description.store, storeFileDigest: Digest.of(bytes)
        ).entries()
        for entry in entries {
            try put(EntryKey.path(entry.sequence), entry.bytes, replaces: entry.replaces)
            files.append(EntryKey.path(entry.sequence))
        }
        return files
    }

    /// Whether the first entry that can be read is one of this store.
    private func chains(to description: Digest, of store: StoreID) throws(DFSError) -> Bool {
        for key in try own.list(EntryKey.folder) {
            guard let bytes = try own.standing(key, limit: LedgerEntry.byteLimit),
                let entry = try? LedgerEntry.parse(bytes)
            else { continue }
            return entry.store == store && (entry.sequence > 1 || entry.previous == description)
        }
        return false
    }

    private func put(_ key: String, _ bytes: [UInt8], replaces: Bool) throws(DFSError) {
        guard replaces else {
            guard try own.putIfAbsent(key, bytes) else {
                throw DFSError(
                    .refused, "\(own.root)/\(key) came into being at this moment",
                    cause: "somebody writes to the store",
                    hint: "dfs repair --from \(replica.root)")
            }
            return
        }
        let file = try own.begin()
        try file.append(bytes)
        try own.setAside(key, reason: "it was no sound entry of this store")
        try file.replace(own.path(key))
    }
}
