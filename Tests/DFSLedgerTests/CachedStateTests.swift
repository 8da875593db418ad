import DFSChunking
import DFSLedger
import DFSModel
import DFSSystem
import DFSTestSupport
import Testing

/// Writes made-up histories; signatures are not looked at.
struct Storyteller {
    var state = LedgerState(store: Fixture.store, storeFileDigest: Fixture.storeFileDigest)
    private var generator: SeededGenerator
    private let key: PublicKey
    private var clock: Int64 = 1_790_000_000

    private struct Unsigned: Signer {
        let publicKey: PublicKey
        func sign(_ message: [UInt8]) throws(DFSError) -> [UInt8] { [1] }
    }

    init(seed: UInt64) throws {
        generator = SeededGenerator(seed: seed)
        key = try #require(PublicKey(raw: [UInt8](repeating: 1, count: 32)))
        try tell([.storeCreated, .keyAdded(key, owner: true)])
        try tell([.code("train", "s1")])
    }

    private mutating func tell(_ events: [LedgerEvent]) throws {
        clock += Int64.random(in: 0...3, using: &generator)
        let now = Timestamp(seconds: clock, nanoseconds: 0)
        let entry = try LedgerEntry.signed(
            sequence: state.head.sequence + 1, previous: state.head.digest, store: Fixture.store, time: now,
            clock: EntryClock(host: now, store: now, synchronised: .yes), events: events,
            by: Unsigned(publicKey: key))
        try state.apply(entry, fileDigest: entry.digest, signatures: .trust)
    }

    /// Anything that can happen, and sometimes what cannot.
    mutating func tellSomething() throws {
        var events = [LedgerEvent]()
        for _ in 0...Int.random(in: 0...2, using: &generator) {
            events.append(event().heeding(state.condemnations.newest))
        }
        try tell(events)
    }

    private mutating func event() -> LedgerEvent {
        let name = "set\(Int.random(in: 0..<4, using: &generator))"
        let versions = state.datasets[name]?.versions.count ?? 0
        let runs = state.runs.count
        let some = Int.random(in: 0..<max(1, runs), using: &generator)
        switch Int.random(in: 0..<13, using: &generator) {
        case 0...2: return .commit(name, versions + 1)
        case 3:
            let number = Int.random(in: 1...max(1, versions), using: &generator)
            let standing = state.datasets[name]?.version(tag: "best")?.number
            return .tag("best", name, number, moved: standing != nil && standing != number)
        case 4: return .code("train", "s\(Int.random(in: 0..<400, using: &generator))")
        case 5, 6: return .start(run(UInt64(runs + 1)), data: [])
        case 7: return .finish(runs == 0 ? run(1) : state.runs[some].id)
        case 8: return .tagSet(.init(tag: "good", target: .run(runs == 0 ? run(1) : state.runs[some].id), moved: false))
        case 9:
            let number = versions == 0 ? 1 : Int.random(in: 1...versions, using: &generator)
            return .removal(name, Bool.random(using: &generator) ? number : nil)
        case 10:
            let packs = (0..<3).map { _ in PackID.some("\(Int.random(in: 0..<60, using: &generator))") }
            return .condemnation(Array(Set(packs.dropFirst())), [packs[1]: [packs[0]]], seen: state.head.sequence)
        case 11:
            let last = state.condemnations.all.last
            return .packsDeleted(.init(condemned: last?.sequence ?? 1, packs: last?.packs ?? [.some("0")]))
        default: return .tagRemoved(.init(tag: "best", holder: .dataset(name)))
        }
    }
}

/// The state in rows, as a host's index keeps it.
struct CachedStateTests {
    private func rows(_ cache: [[UInt8]: [UInt8]]) -> [StateRow] {
        cache.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { StateRow(key: $0.key, value: $0.value) }
    }

    @Test func equalsTheFold() throws {
        let fixture = try Fixture()
        try fixture.tellStory()
        let state = fixture.ledger.state
        let rows = state.rows()
        let read = try LedgerState(rows: rows)
        #expect(read == state && read.rows() == rows)
        #expect(try Fixture.open(fixture.backend).refresh().rows() == rows)
        // What is derived from the rows works as before.
        #expect(read.run(run(1)) == state.run(run(1)))
        #expect(read.problem(ofNewDataset: "FACES") != nil)
        #expect(read.projects["train"]?.snapshot("s1") != nil)
    }

    /// Saved now and then, by what changed only, read again, and continued from what was read: always the plain fold.
    @Test(arguments: 1...6 as ClosedRange<UInt64>) func savingWhatChangedIsSavingAll(seed: UInt64) throws {
        var teller = try Storyteller(seed: seed)
        var generator = SeededGenerator(seed: seed &* 77)
        var cache = [[UInt8]: [UInt8]]()
        var saved: UInt64 = 0
        for _ in 0..<40 {
            for _ in 0..<Int.random(in: 1...60, using: &generator) { try teller.tellSomething() }
            for row in teller.state.rows(changedAfter: saved) { cache[row.key] = row.value }
            saved = teller.state.head.sequence
            let read = try LedgerState(rows: rows(cache))
            #expect(read == teller.state)
            #expect(rows(cache) == teller.state.rows())
            for run in teller.state.runs { #expect(read.run(run.id) == run) }
            #expect(read.run(DFSLedgerTests.run(1 << 40)) == nil)
            if Bool.random(using: &generator) { teller.state = read }
        }
        #expect(teller.state.runs.count > 256 && teller.state.rejected.count > 256)
    }

    @Test func anAppendSavesLittle() throws {
        var teller = try Storyteller(seed: 99)
        for _ in 0..<3000 { try teller.tellSomething() }
        let before = teller.state.head.sequence
        let all = teller.state.rows()
        try teller.tellSomething()
        let changed = teller.state.rows(changedAfter: before)
        #expect(all.count > 30 && changed.count <= 12)
    }

    @Test func copiesDoNotShareChanges() throws {
        var teller = try Storyteller(seed: 5)
        for _ in 0..<600 { try teller.tellSomething() }
        let copy = teller.state
        let rows = copy.rows()
        for _ in 0..<600 { try teller.tellSomething() }
        #expect(copy.rows() == rows && copy != teller.state)
    }

    @Test func whatDoesNotFitTogetherIsRefused() throws {
        var teller = try Storyteller(seed: 3)
        for _ in 0..<600 { try teller.tellSomething() }
        let rows = teller.state.rows()
        #expect(throws: DFSError.self) { try LedgerState(rows: rows.dropFirst()) }
        #expect(throws: DFSError.self) { try LedgerState(rows: []) }
        for position in 1..<rows.count - 1 where rows[position].key.dropLast(4) == rows[position + 1].key.dropLast(4) {
            var less = rows
            less.remove(at: position)
            #expect(throws: DFSError.self) { try LedgerState(rows: less) }
        }
        for position in rows.indices {
            var cut = rows
            cut[position] = StateRow(key: rows[position].key, value: Array(rows[position].value.dropLast()))
            #expect(throws: DFSError.self) { try LedgerState(rows: cut) }
        }
    }
}
