import DFSModel
import DFSRemote

/// Gives a ledger back what it lost, from a copy of the same ledger.
package struct LedgerReplica {
    private let own: any Backend
    private let other: any Backend
    private let store: StoreID
    private let storeFileDigest: Digest

    /// `storeFileDigest`: of `dfs-store.json`, which both must have.
    package init(own: any Backend, other: any Backend, store: StoreID, storeFileDigest: Digest) {
        self.own = own
        self.other = other
        self.store = store
        self.storeFileDigest = storeFileDigest
    }

    package struct Entry: Sendable {
        package let sequence: UInt64
        package let bytes: [UInt8]
        /// Something stands in its place that is no entry.
        package let replaces: Bool
    }

    /// The entries to put back, in order. All of them follow from the copy's chain and signatures, checked from the first.
    ///
    /// Throws `.refused` where the copy is not whole, or where both have a signed entry under one number: two histories.
    package func entries() throws(DFSError) -> [Entry] {
        let report = try LedgerVerifier(backend: other, store: store, storeFileDigest: storeFileDigest).verify()
        if let problem = report.problems.first {
            throw DFSError(
                .refused, "the ledger in \(other.location) gives nothing back",
                cause: "entry \(problem.sequence): \(problem.what)", hint: "dfs --store \(other.location) audit verify")
        }
        var entries = [Entry]()
        var sequence: UInt64 = 1
        while sequence <= report.state.head.sequence {
            defer { sequence += 1 }
            let key = EntryKey.path(sequence)
            guard let bytes = try other.get(key, limit: LedgerEntry.byteLimit) else { break }
            let standing = try own.standing(key, limit: LedgerEntry.byteLimit)
            if standing == bytes { continue }
            if let standing, let entry = try? LedgerEntry.parse(standing),
                let signer = report.state.keys[entry.key]?.publicKey, entry.signatureProblem(signer) == nil
            {
                throw DFSError(
                    .refused, "\(own.location) and \(other.location) are two histories",
                    cause: "entry \(sequence) differs, and both are signed", hint: "dfs audit log")
            }
            entries.append(Entry(sequence: sequence, bytes: bytes, replaces: standing != nil))
        }
        return entries
    }
}
