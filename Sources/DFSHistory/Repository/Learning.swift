import DFSIndex
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import Synchronization

/// Keeps a host's index in step with the ledger: the folded state, the tables of the packs that entries name, their
/// pack sets and texts. What it does is in proportion to the entries that came since.
///
/// Used by one thread at a time. A row of its own says up to which entry packs were taken in, and is written in the
/// transaction that takes them in: whoever is interrupted, goes on from there.
package final class Learning: Sendable {
    static let tables = ["state", "history"]
    private static let learnedKey = Array("learned".utf8)

    private let index: Index
    private let objects: ObjectStore
    private let ledger: Ledger
    /// The head of the state that the index holds and that is known to stand in this ledger.
    private let saved: Mutex<LedgerState.Head?>

    package init(index: Index, objects: ObjectStore, ledger: Ledger, saved: LedgerState.Head?) {
        self.index = index
        self.objects = objects
        self.ledger = ledger
        self.saved = Mutex(saved)
    }

    /// The state that an index holds; `nil` when it holds none that can be read. Whether it is of this ledger shows when
    /// the ledger is read.
    package static func savedState(_ index: Index) throws(DFSError) -> LedgerState? {
        try index.read { t throws(DFSError) in
            var rows = [StateRow]()
            try t.forEach("history", prefix: []) { key, value throws(DFSError) in
                rows.append(StateRow(key: key, value: value))
                return true
            }
            return try? LedgerState(rows: rows)
        }
    }

    /// Takes in what `state` says and the index does not know.
    package func take(_ state: LedgerState) throws(DFSError) {
        var learned = try learned()
        if let known = learned, try !stands(known.sequence, known.entry, state) {
            // Another history: a copy of the store that went on, or this one put back from a copy. What the index knows
            // may be in no pack here.
            try index.discard()
            learned = nil
        }
        let known = learned ?? Learned(sequence: 0, entry: .zero, passedOver: [])
        guard known.sequence < state.head.sequence || !known.passedOver.isEmpty else { return }
        let damaged = try heed(state.condemnations, known)
        let first = state.packSets.prefixLength { $0.sequence <= known.sequence }
        var marks = known.passedOver.flatMap { sequence in
            state.packSets[state.packSets.prefixLength { $0.sequence < sequence }...].prefix { $0.sequence == sequence }
        }
        marks += state.packSets[first...]
        // A long first look is not to be folded again when it is interrupted.
        let isLong = marks.count > Self.longLook
        let saving = try plan(state)
        if isLong, let saving { try index.write { t throws(DFSError) in try save(state, saving, t) } }
        try take(marks[...], state, from: known, damaged) { t throws(DFSError) in
            if !isLong, let saving { try self.save(state, saving, t) }
        }
        if saving != nil { saved.withLock { $0 = state.head } }
    }

    /// Marks after which the state is saved before packs are taken in.
    private static let longLook = 1024

    private func take(
        _ marks: ArraySlice<PackSetMark>, _ state: LedgerState, from known: Learned, _ damaged: Set<UInt64>,
        last: (borrowing WriteTransaction) throws(DFSError) -> Void
    ) throws(DFSError) {
        var rest = marks
        var passedOver = damaged
        repeat {
            let found = try PackSetReader(objects: objects, condemnations: state.condemnations).read(&rest)
            passedOver.formUnion(found.damaged)
            let end = rest.first.map { $0.sequence - 1 } ?? state.head.sequence
            let isLast = rest.isEmpty
            // Marks that were passed over before come first: the sequence does not go back for them.
            let reached = max(known.sequence, end)
            let again = rest.prefix { $0.sequence <= known.sequence }.map(\.sequence)
            let now = Learned(
                sequence: reached, entry: isLast ? state.head.digest : try ledger.digest(of: reached) ?? .zero,
                passedOver: passedOver.union(again).sorted())
            if now == known, found.tables.isEmpty { return }
            try objects.learn(tables: found.tables, keeping: found.objects) { t throws(DFSError) in
                try t.put("state", Self.learnedKey, now.bytes)
                if isLast { try last(t) }
            }
        } while !rest.isEmpty
    }

    /// Takes in what was said of collection, before all else: what condemned packs held is found where it is now. Returns
    /// the entries of which something that stands in for condemned packs is damaged.
    private func heed(_ condemnations: Condemnations, _ known: Learned) throws(DFSError) -> Set<UInt64> {
        var damaged = Set<UInt64>()
        for condemnation in condemnations.all
        where condemnation.sequence > known.sequence || known.passedOver.contains(condemnation.sequence) {
            try objects.condemn(condemnation.packs)
            for pack in condemnations.standing(condemnation.replacements.values.joined()).sorted() {
                do throws(DFSError) { try objects.redirect(to: pack) } catch {
                    guard error.code == .corrupt else { throw error }
                    damaged.insert(condemnation.sequence)
                }
            }
        }
        for deletion in condemnations.deletions where deletion.sequence > known.sequence {
            try objects.drop(deletion.packs)
        }
        return damaged
    }

    /// Whether an entry stands in this ledger.
    private func stands(_ sequence: UInt64, _ entry: Digest, _ state: LedgerState) throws(DFSError) -> Bool {
        if sequence == state.head.sequence { return entry == state.head.digest }
        return try ledger.digest(of: sequence) == entry
    }

    // MARK: The state

    private struct Saving {
        /// What the index holds; `nil` when that is of no use.
        let base: LedgerState.Head?
        /// The head row as read.
        let standing: [UInt8]?
    }

    /// What has to be written so that the index holds `state`; `nil` when it holds it, or a later one.
    private func plan(_ state: LedgerState) throws(DFSError) -> Saving? {
        let row = try index.read { t throws(DFSError) in try t.get("history", LedgerState.headKey) }
        guard let row, let head = LedgerState.head(ofRow: row) else { return Saving(base: nil, standing: row) }
        if saved.withLock({ $0 != head }), try !stands(head.sequence, head.digest, state) {
            return Saving(base: nil, standing: row)
        }
        return head.sequence < state.head.sequence ? Saving(base: head, standing: row) : nil
    }

    private func save(_ state: LedgerState, _ saving: Saving, _ t: borrowing WriteTransaction) throws(DFSError) {
        // Somebody else saved meanwhile: theirs is as good, and rows of two states must not mix.
        guard try t.get("history", LedgerState.headKey) == saving.standing else { return }
        if saving.base == nil { try t.empty("history") }
        for row in state.rows(changedAfter: saving.base?.sequence ?? 0) { try t.put("history", row.key, row.value) }
    }

    // MARK: How far

    /// Up to which entry the packs of a ledger are in the index.
    private struct Learned: Equatable {
        let sequence: UInt64
        let entry: Digest
        /// Entries up to there of which packs were damaged or missing: these are looked at again each time.
        let passedOver: [UInt64]

        init(sequence: UInt64, entry: Digest, passedOver: [UInt64]) {
            self.sequence = sequence
            self.entry = entry
            self.passedOver = passedOver
        }

        init?(_ bytes: [UInt8]) {
            let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
            guard words.count >= 2, let sequence = UInt64(words[0]), let entry = Digest(hex: words[1]) else {
                return nil
            }
            let passedOver = words.dropFirst(2).compactMap { UInt64($0) }
            self.init(sequence: sequence, entry: entry, passedOver: passedOver)
        }

        var bytes: [UInt8] {
            Array((["\(sequence)", entry.hex] + passedOver.map { "\($0)" }).joined(separator: " ").utf8)
        }
    }

    private func learned() throws(DFSError) -> Learned? {
        try index.read { t throws(DFSError) in try t.get("state", Self.learnedKey).flatMap { Learned($0) } }
    }
}
