import DFSChunking
import DFSModel
import DFSRemote
import DFSSystem
import Synchronization

/// Folds many entries at once: read from bundles where there are any, parsed on all processors, folded one after the other.
///
/// Every byte is held against the chain. Signatures are checked one by one of: entry 1, all entries that say something about
/// keys, and all from the last one that an owner signed. That one's signer had read and checked what came before, and by the
/// chain its signature covers those very bytes (SEMANTICS 30). When an owner's key was revoked on the way, all are checked.
///
/// Whatever is wrong, `run` gives `nil` and the caller reads entry by entry, which names what it is.
struct BulkFold {
    private let backend: any Backend
    private let signatures: LedgerState.SignatureCheck
    /// Entries that are read in one piece, by one thread: a folder's, at most.
    private typealias Piece = [(entry: FoldableEntry, bytes: [UInt8])]

    /// New entries from which on this is used.
    static let minimum: UInt64 = 512

    init(backend: any Backend, signatures: LedgerState.SignatureCheck) {
        self.backend = backend
        self.signatures = signatures
    }

    /// The state after all entries that follow `state`; `nil` when something is not as it should be.
    func run(from state: LedgerState) -> LedgerState? {
        // A bundle that lies well shows only where its last entry meets the next one: then none of them is asked.
        fold(from: state, bundles: true) ?? fold(from: state, bundles: false)
    }

    private func fold(from state: LedgerState, bundles: Bool) -> LedgerState? {
        var vouching = Vouching(signatures: signatures, checksAll: false)
        if let after = fold(from: state, bundles: bundles, &vouching) { return after }
        guard vouching.lostAnOwner else { return nil }
        vouching = Vouching(signatures: signatures, checksAll: true)
        return fold(from: state, bundles: bundles, &vouching)
    }

    private func fold(from start: LedgerState, bundles: Bool, _ vouching: inout Vouching) -> LedgerState? {
        var state = start
        var next = start.head.sequence + 1
        var pieces: [Piece] = []
        var isAtEnd = false
        repeat {
            let ranges = isAtEnd ? [] : Self.ranges(from: next)
            let taken = pieces
            let work = Mutex((next: 0, read: [Piece?](repeating: nil, count: ranges.count)))
            let folded = Mutex((state: state, vouching: vouching, isRight: true))
            // The state is in the mutex alone while it is changed, so that it is not copied.
            state = start
            let threads = Workers.processorCount
            Workers.run(threads + 1) { i in
                if i == threads {
                    folded.withLock { folded in
                        for piece in taken where folded.isRight {
                            folded.isRight = Self.fold(piece, into: &folded.state, &folded.vouching)
                        }
                    }
                }
                while true {
                    let mine = work.withLock { work in
                        defer { work.next += 1 }
                        return work.next
                    }
                    guard mine < ranges.count else { return }
                    let piece = read(ranges[mine], bundles: bundles)
                    work.withLock { $0.read[mine] = piece }
                }
            }
            let isRight = folded.withLock { folded in
                state = folded.state
                vouching = folded.vouching
                return folded.isRight
            }
            guard isRight else { return nil }
            pieces = []
            for (range, piece) in zip(ranges, work.withLock { $0.read }) where !isAtEnd {
                guard let piece else { return nil }
                pieces.append(piece)
                next += UInt64(piece.count)
                isAtEnd = next <= range.upperBound
            }
        } while !pieces.isEmpty || !isAtEnd
        guard vouching.finish(), stands(state.head) else { return nil }
        return state
    }

    /// The next folders' parts.
    private static func ranges(from first: UInt64) -> [ClosedRange<UInt64>] {
        var ranges = [ClosedRange<UInt64>]()
        var start = first
        for _ in 0..<Workers.processorCount * 2 {
            let end = EntryKey.entries(ofFolder: start / EntryKey.perFolder).upperBound
            ranges.append(start...end)
            start = end + 1
        }
        return ranges
    }

    // MARK: Reading

    /// The entries in `range`, up to the first that is not there. `nil`: one cannot be read.
    private func read(_ range: ClosedRange<UInt64>, bundles: Bool) -> Piece? {
        if bundles, let piece = bundle(range) { return piece }
        var piece = Piece()
        for sequence in range {
            let bytes: [UInt8]?
            do throws(DFSError) {
                bytes = try backend.get(EntryKey.path(sequence), limit: LedgerEntry.byteLimit)
            } catch { return nil }
            guard let bytes else { break }
            guard let entry = Self.parse(bytes) else { return nil }
            piece.append((entry, bytes))
        }
        return piece
    }

    /// What the bundle says, when it hangs together.
    private func bundle(_ range: ClosedRange<UInt64>) -> Piece? {
        let number = range.lowerBound / EntryKey.perFolder
        let whole = EntryKey.entries(ofFolder: number)
        guard let all = EntryBundle.read(number, from: backend), all.count == whole.count else { return nil }
        var piece = Piece()
        for bytes in all.dropFirst(Int(range.lowerBound - whole.lowerBound)) {
            guard let entry = Self.parse(bytes), piece.last.map({ $0.entry.digest == entry.previous }) ?? true else {
                return nil
            }
            piece.append((entry, bytes))
        }
        return piece
    }

    private static func parse(_ bytes: [UInt8]) -> FoldableEntry? {
        guard let entry = try? LedgerEntry.parse(bytes) else { return nil }
        return FoldableEntry(entry, digest: .of(bytes))
    }

    // MARK: Folding

    private static func fold(_ piece: Piece, into state: inout LedgerState, _ vouching: inout Vouching) -> Bool {
        for (entry, bytes) in piece {
            guard state.placeProblems(of: entry).isEmpty, let key = state.key(of: entry) else { return false }
            let isOwners = state.isOwner(entry.key)
            state.accept(entry)
            guard vouching.note(entry, bytes, key, isOwners: isOwners, state) else { return false }
        }
        return true
    }

    /// The last entry of a bundle is covered by no successor that was read: its file decides.
    private func stands(_ head: LedgerState.Head) -> Bool {
        guard let bytes = try? backend.get(EntryKey.path(head.sequence), limit: LedgerEntry.byteLimit) else {
            return false
        }
        return Digest.of(bytes) == head.digest
    }
}

/// Which signatures are still to be checked.
private struct Vouching: Sendable {
    private struct Open: Sendable {
        let bytes: [UInt8]
        let key: PublicKey
    }

    private let signatures: LedgerState.SignatureCheck
    private let checksAll: Bool
    /// Since the last entry that an owner signed, which is the first of them.
    private var open: [Open] = []
    /// Entries that are covered by none.
    private var certain: [Open] = []
    /// An owner's key was revoked: what it signed covers nothing.
    private(set) var lostAnOwner = false

    /// Signatures that wait at most.
    private static let limit = 4096

    init(signatures: LedgerState.SignatureCheck, checksAll: Bool) {
        self.signatures = signatures
        self.checksAll = checksAll
    }

    /// `false`: stop. `state` is that after the entry.
    mutating func note(
        _ entry: FoldableEntry, _ bytes: [UInt8], _ key: PublicKey, isOwners: Bool, _ state: LedgerState
    ) -> Bool {
        guard signatures == .verify else { return true }
        let isAboutKeys = entry.events.contains(where: \.isAboutKeys)
        let isLost = { (key: KeyRecord) in key.owner && key.revoked?.sequence == entry.sequence }
        if isAboutKeys, !checksAll, state.keys.values.contains(where: isLost) {
            lostAnOwner = true
            return false
        }
        let one = Open(bytes: bytes, key: key)
        if isAboutKeys || entry.sequence == 1 { certain.append(one) }
        if isOwners, !checksAll { open.removeAll(keepingCapacity: true) }
        open.append(one)
        return open.count + certain.count < Self.limit || finish()
    }

    /// Whether all signatures that wait are right; none waits after that.
    mutating func finish() -> Bool {
        let waiting = certain + open
        certain = []
        open = []
        let isRight = Atomic<Bool>(true)
        let threads = max(1, min(Workers.processorCount, waiting.count / 32))
        Workers.run(threads) { thread in
            for place in stride(from: thread, to: waiting.count, by: threads) {
                let one = waiting[place]
                guard isRight.load(ordering: .relaxed) else { return }
                guard let entry = try? LedgerEntry.parse(one.bytes), entry.signatureProblem(one.key) == nil else {
                    return isRight.store(false, ordering: .relaxed)
                }
            }
        }
        return isRight.load(ordering: .relaxed)
    }
}
