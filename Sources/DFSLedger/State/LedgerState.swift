import DFSModel

/// Everything that a ledger says up to an entry: a value, the fold over its events. Copies share memory.
package struct LedgerState: Sendable, Hashable {
    package struct Head: Sendable, Hashable {
        /// 0 before the first entry.
        package let sequence: UInt64
        /// SHA-256 of the entry's file; before the first entry: of `dfs-store.json`.
        package let digest: Digest
        /// `nil` before the first entry.
        package let time: Timestamp?
    }

    package enum SignatureCheck: Sendable {
        case verify
        /// For entries that were verified before; saves some 50 µs each.
        case trust
    }

    package let store: StoreID
    package internal(set) var head: Head
    package internal(set) var keys: [KeyID: KeyRecord] = [:]
    package internal(set) var datasets: [String: DatasetState] = [:]
    package internal(set) var projects: [String: ProjectState] = [:]
    /// In the order in which they started.
    package internal(set) var runs = RecordList<RunRecord>()
    /// Of each recording event, in the order of the ledger.
    package internal(set) var packSets = RecordList<PackSetMark>()
    package internal(set) var condemnations = Condemnations()
    package internal(set) var rejected = RecordList<RejectedEvent>()
    /// How often each kind of event was met that this version does not know.
    package internal(set) var unknownKinds: [String: Int] = [:]
    /// Names of datasets by what names in conflict have in common.
    var datasetFamilies: [String: Set<String>] = [:]

    /// The state before entry 1. `storeFileDigest` is the SHA-256 of `dfs-store.json`.
    package init(store: StoreID, storeFileDigest: Digest) {
        self.store = store
        head = Head(sequence: 0, digest: storeFileDigest, time: nil)
    }

    /// Folds the next entry. `fileDigest` is the SHA-256 of the bytes it was read from.
    ///
    /// An entry out of order, of another store, with a broken chain, an earlier time, an unknown key or (unless
    /// trusted) a wrong signature throws `.corrupt` and changes nothing. A single event that contradicts the state is
    /// passed over and listed in `rejected`.
    package mutating func apply(
        _ entry: LedgerEntry, fileDigest: Digest, signatures: SignatureCheck = .verify
    ) throws(DFSError) {
        let foldable = FoldableEntry(entry, digest: fileDigest)
        let problem =
            placeProblems(of: foldable).first ?? signerProblem(of: entry, foldable, signatures: signatures)
        if let problem {
            throw DFSError(
                .corrupt, "ledger entry \(entry.sequence) cannot follow entry \(head.sequence)", cause: problem,
                hint: "dfs audit verify")
        }
        accept(foldable)
    }

    /// What is wrong with the place that the entry takes after the head.
    func placeProblems(of entry: FoldableEntry) -> [String] {
        var problems = [String]()
        if entry.sequence != head.sequence + 1 { problems.append("its sequence number is \(entry.sequence)") }
        if entry.store != store { problems.append("it belongs to store \(entry.store)") }
        if entry.previous != head.digest {
            problems.append(
                head.sequence == 0
                    ? "it does not chain to dfs-store.json" : "it does not chain to the bytes of entry \(head.sequence)"
            )
        }
        if let time = head.time, entry.time < time { problems.append("its time is before that of its predecessor") }
        if entry.sequence == 1, entry.events.first?.kind != "store.created" {
            problems.append("its first event is not store.created")
        }
        return problems
    }

    /// What is wrong with the key or the signature of the entry.
    func signerProblem(of entry: LedgerEntry, _ foldable: FoldableEntry, signatures: SignatureCheck) -> String? {
        guard let key = key(of: foldable) else { return "its key \(entry.key.text) was never added" }
        return signatures == .verify ? entry.signatureProblem(key) : nil
    }

    /// The signer's public key: known, or added by the entry itself in a way that holds.
    func key(of entry: FoldableEntry) -> PublicKey? {
        if let known = keys[entry.key] { return known.publicKey }
        for parsed in entry.events {
            guard case .success(.keyAdded(let key, let owner)) = parsed.event, key.id == entry.key else { continue }
            if !owner || entry.sequence == 1 { return key }
        }
        return nil
    }

    /// Moves the head to the entry and folds its events, without a look at its place and signature.
    mutating func accept(_ entry: FoldableEntry) {
        let mark = EntryMark(sequence: entry.sequence, time: entry.time, key: entry.key)
        let signerWasRevoked = keys[entry.key]?.isRevoked ?? false
        for (index, parsed) in entry.events.enumerated() {
            let reason: String? =
                switch parsed.event {
                case .failure(let error): error.cause ?? error.what
                case .success(let event):
                    signerWasRevoked ? "the key that signed it is revoked" : fold(event, index: index, mark: mark)
                }
            if let reason {
                let rejection = RejectedEvent(
                    sequence: entry.sequence, index: index, kind: parsed.kind, reason: reason)
                rejected.append(rejection, at: entry.sequence)
            }
        }
        head = Head(sequence: entry.sequence, digest: entry.digest, time: entry.time)
    }

    /// Moves the head past an entry that cannot be read, so that those after it can be looked at.
    mutating func passOver(_ sequence: UInt64, fileDigest: Digest) {
        head = Head(sequence: sequence, digest: fileDigest, time: head.time)
    }
}
