import DFSChunking
import DFSModel
import DFSRemote
import DFSSystem
import Glibc
import Synchronization

/// The ledger of one store: reads new entries into a state and appends to it. There is nothing to close.
///
/// All methods block and may be called from any thread. `known` owns the state; `appending` lets the threads of one
/// process append one after the other instead of racing. A thread that holds both took `appending` first.
package final class Ledger: Sendable {
    package let store: StoreID
    package let storeFileDigest: Digest
    private let backend: any Backend
    private let signatures: LedgerState.SignatureCheck
    private let known: Mutex<Known>
    private let appending = Mutex<Void>(())

    private struct Known {
        var state: LedgerState
        /// Whether the state is known to belong to the entries that stand in the store.
        var isAnchored: Bool
        /// Whether something was wrong with entries that were read many at a time.
        var isStumbling = false
    }

    /// `storeFileDigest` is the SHA-256 of `dfs-store.json`. `state` may be one that was cached: when the entry it ends
    /// with does not stand in the store, it is dropped. Nothing is read here.
    package init(
        backend: any Backend, store: StoreID, storeFileDigest: Digest, state: LedgerState? = nil,
        signatures: LedgerState.SignatureCheck = .verify
    ) {
        self.backend = backend
        self.store = store
        self.storeFileDigest = storeFileDigest
        self.signatures = signatures
        let start = state ?? LedgerState(store: store, storeFileDigest: storeFileDigest)
        known = Mutex(Known(state: start, isAnchored: state == nil))
    }

    /// The state as last read, without a look at the store.
    package var state: LedgerState { known.withLock { $0.state } }

    /// Reads and folds all entries that came since, and returns the state after them.
    ///
    /// Costs one failing look-up when there are none. An entry that is malformed or does not belong in its place
    /// throws `.corrupt`; the state stays that of the entries before it.
    @discardableResult
    package func refresh() throws(DFSError) -> LedgerState {
        try known.withLock { known throws(DFSError) in
            try anchor(&known)
            while let bytes = try bytes(of: known.state.head.sequence + 1) {
                if try foldMany(&known) { continue }
                let entry = try parse(bytes, sequence: known.state.head.sequence + 1)
                try known.state.apply(entry, fileDigest: .of(bytes), signatures: signatures)
            }
            return known.state
        }
    }

    /// Folds all entries that stand, when they are many and nothing is wrong with them.
    private func foldMany(_ known: inout Known) throws(DFSError) -> Bool {
        guard !known.isStumbling, try exists(known.state.head.sequence + BulkFold.minimum) else { return false }
        guard let state = BulkFold(backend: backend, signatures: signatures).run(from: known.state) else {
            known.isStumbling = true
            return false
        }
        known.state = state
        return true
    }

    /// Drops a given state that does not end with an entry of this store.
    private func anchor(_ known: inout Known) throws(DFSError) {
        guard !known.isAnchored else { return }
        let head = known.state.head
        let standing =
            head.sequence == 0 ? storeFileDigest : try bytes(of: head.sequence).map { Digest.of($0) }
        if known.state.store != store || standing != head.digest {
            known.state = LedgerState(store: store, storeFileDigest: storeFileDigest)
        }
        known.isAnchored = true
    }

    private func bytes(of sequence: UInt64) throws(DFSError) -> [UInt8]? {
        try backend.get(EntryKey.path(sequence), limit: LedgerEntry.byteLimit)
    }

    private func parse(_ bytes: [UInt8], sequence: UInt64) throws(DFSError) -> LedgerEntry {
        do {
            return try LedgerEntry.parse(bytes)
        } catch {
            throw DFSError(
                error.code, "cannot read ledger entry \(sequence) of \(backend.location)",
                cause: error.cause ?? error.what, hint: error.hint ?? "dfs audit verify")
        }
    }

    /// SHA-256 of an entry's file; `nil` when there is none.
    package func digest(of sequence: UInt64) throws(DFSError) -> Digest? {
        try bytes(of: sequence).map { .of($0) }
    }

    /// One entry as it stands, unverified; `nil` when there is none.
    package func entry(_ sequence: UInt64) throws(DFSError) -> LedgerEntry? {
        guard let bytes = try bytes(of: sequence) else { return nil }
        return try parse(bytes, sequence: sequence)
    }

    /// The number of the last entry, given one that exists (or 0). Needs about 2·log₂ of the distance look-ups and
    /// lists nothing; relies on there being no gap.
    package func head(after known: UInt64) throws(DFSError) -> UInt64 {
        var last = known
        var step: UInt64 = 1
        while try exists(last + step) {
            last += step
            step *= 2
        }
        var absent = last + step
        while absent - last > 1 {
            let middle = last + (absent - last) / 2
            if try exists(middle) { last = middle } else { absent = middle }
        }
        return last
    }

    private func exists(_ sequence: UInt64) throws(DFSError) -> Bool {
        try backend.length(of: EntryKey.path(sequence)) != nil
    }

    /// Makes the first entry, with `signer` as the store's owner; `nil` when the ledger has begun already.
    @discardableResult
    package func create(signer: any Signer, clock: LedgerClock = .host) throws(DFSError) -> LedgerEntry? {
        try append(signer: signer, clock: clock) { $0.head.sequence == 0 ? [] : nil }
    }

    /// Appends one entry, durably. `makeEvents` sees the state that the entry will follow and decides what it says;
    /// it is called again, with a newer state, whenever another writer was faster. `nil`, or no events by a key that is
    /// known, appends nothing and returns `nil`.
    ///
    /// In front of its events the entry adds the signer's key when it is new, and makes the store when it is the first.
    /// `makeEvents` must not append to the same ledger. Events that the fold would reject are never written
    /// (`.refused`); so is anything when the host's clock is far ahead of the store's or the key was revoked.
    @discardableResult
    package func append(
        signer: any Signer, clock: LedgerClock = .host,
        makeEvents: (LedgerState) throws(DFSError) -> [LedgerEvent]?
    ) throws(DFSError) -> LedgerEntry? {
        try appending.withLock { _ throws(DFSError) in
            var race = Race()
            while true {
                let reading = try clock.reading(store: try backend.time())
                let state = try refresh()
                try race.note(head: state.head.sequence, location: backend.location)
                guard let events = try makeEvents(state) else { return nil }
                let all = try introductions(of: signer, to: state) + events
                guard !all.isEmpty else { return nil }
                let entry = try entry(of: all, after: state, reading: reading, signer: signer)
                let bytes = entry.encoded
                let next = try rehearse(entry, bytes: bytes, on: state)
                try settlePredecessor(of: entry.sequence)
                if try backend.putIfAbsent(EntryKey.path(entry.sequence), bytes) {
                    adopt(next)
                    bundle(before: entry.sequence)
                    return entry
                }
                race.lost(entry.sequence)
            }
        }
    }

    /// An entry that begins a folder must not outlive its predecessor in the folder before, whose writer may not have come
    /// to make that folder durable: putting the same bytes again does.
    private func settlePredecessor(of sequence: UInt64) throws(DFSError) {
        guard sequence > 1, sequence % EntryKey.perFolder == 0, let before = try bytes(of: sequence - 1) else { return }
        _ = try backend.putIfAbsent(EntryKey.path(sequence - 1), before)
    }

    /// An entry that begins a folder completes the one before, which then gets its bundle; so does one before that which
    /// somebody left without.
    private func bundle(before sequence: UInt64) {
        let folder = sequence / EntryKey.perFolder
        guard sequence % EntryKey.perFolder == 0, folder > 0 else { return }
        for number in folder.advanced(by: folder > 1 ? -2 : -1)..<folder { EntryBundle.write(number, to: backend) }
    }

    private func introductions(of signer: any Signer, to state: LedgerState) throws(DFSError) -> [LedgerEvent] {
        let key = signer.publicKey
        if state.head.sequence == 0 { return [.storeCreated, .keyAdded(key, owner: true)] }
        guard let record = state.keys[key.id] else { return [.keyAdded(key, owner: false)] }
        if let revoked = record.revoked {
            throw DFSError(
                .refused, "key \(key.id.text) may not sign in this store",
                cause: "it was revoked at \(revoked.time.short)", hint: "dfs key show")
        }
        return []
    }

    private func entry(
        of events: [LedgerEvent], after state: LedgerState, reading: EntryClock, signer: any Signer
    ) throws(DFSError) -> LedgerEntry {
        try LedgerEntry.signed(
            sequence: state.head.sequence + 1, previous: state.head.digest, store: store,
            time: max(state.head.time ?? reading.host, reading.host), clock: reading, events: events, by: signer)
    }

    /// The state after the entry, read back from its bytes. What a reader would reject must not be written.
    private func rehearse(_ entry: LedgerEntry, bytes: [UInt8], on state: LedgerState) throws(DFSError) -> LedgerState {
        guard bytes.count <= LedgerEntry.byteLimit else {
            throw DFSError(
                .refused, "a ledger entry of \(bytes.count) bytes is too large",
                cause: "at most \(LedgerEntry.byteLimit) bytes are read")
        }
        var next = state
        try next.apply(try LedgerEntry.parse(bytes), fileDigest: .of(bytes))
        if next.rejected.count > state.rejected.count, let first = next.rejected.last {
            throw DFSError(.refused, "event \(first.kind) cannot be recorded", cause: first.reason)
        }
        return next
    }

    private func adopt(_ next: LedgerState) {
        known.withLock { known in
            if known.state.head.sequence + 1 == next.head.sequence { known.state = next }
        }
    }
}

/// One writer's losses against others.
private struct Race {
    private var losses: UInt32 = 0
    private var lostTo: UInt64?
    private var unseen = 0

    mutating func lost(_ sequence: UInt64) {
        losses += 1
        lostTo = sequence
        // Somebody else got on, so there is no limit to tries; the pause only thins out the crowd.
        usleep(UInt32.random(in: 0...min(losses, 20) * 1000))
    }

    /// The entry that won must be readable, if not at once (NFS remembers absence for a while).
    mutating func note(head: UInt64, location: String) throws(DFSError) {
        guard let sequence = lostTo, head < sequence else { return unseen = 0 }
        unseen += 1
        if unseen > 600 {
            throw DFSError(
                .operational, "cannot append to the ledger of \(location)",
                cause: "entry \(sequence) exists but cannot be read", hint: "dfs audit verify")
        }
        usleep(100_000)
    }
}
