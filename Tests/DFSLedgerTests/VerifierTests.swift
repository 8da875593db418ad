import DFSLedger
import DFSModel
import DFSRemote
import DFSSystem
import Glibc
import Testing

struct VerifierTests {
    let fixture: Fixture
    let texts: [Digest: [UInt8]]

    init() throws {
        fixture = try Fixture()
        texts = try fixture.tellStory()
    }

    private func verify() throws -> LedgerReport {
        try fixture.verify(texts: { digest throws(DFSError) in texts[digest] })
    }

    private func replace(_ sequence: UInt64, with bytes: [UInt8]?) throws {
        try Files.remove(fixture.path(sequence))
        if let bytes { #expect(try fixture.backend.putIfAbsent(EntryKey.path(sequence), bytes)) }
    }

    private func bytes(_ sequence: UInt64) throws -> [UInt8] { try #require(try Files.read(fixture.path(sequence))) }

    @Test func wholeLedger() throws {
        let report = try verify()
        #expect(report.problems == [])
        #expect(report.entries == 9 && report.texts == 1)
        #expect(report.state == fixture.ledger.state)
        #expect(report.state.rejected.isEmpty)
        #expect(report.unvouchedKeys == [])
        #expect(report.passedOver == [.init(sequence: 9, what: "event future.event")])
    }

    @Test func everyChangedByteIsFound() throws {
        for _ in 0..<300 {
            let sequence = UInt64.random(in: 1...9)
            let whole = try bytes(sequence)
            let position = Int.random(in: whole.indices)
            var altered = whole
            altered[position] ^= UInt8.random(in: 1...255)
            try fixture.overwrite(sequence, altered)
            let report = try verify()
            #expect(report.problems.contains { $0.sequence == sequence }, "entry \(sequence), byte \(position)")
            #expect(report.entries == 9)
            try fixture.overwrite(sequence, whole)
        }
        #expect(try verify().isWhole)
    }

    @Test func everyTruncationIsFound() throws {
        let small = try Fixture()
        try small.ledger.create(signer: small.signer)
        try small.append(.commit("faces", 1))
        for sequence in [1, 2] as [UInt64] {
            let whole = try #require(try Files.read(small.path(sequence)))
            for bytes in whole.indices.map({ Array(whole.prefix($0)) }) + [whole + [0x0a], whole + whole] {
                try small.overwrite(sequence, bytes)
                #expect(try !small.verify().isWhole, "entry \(sequence) of \(bytes.count) bytes")
            }
            try small.overwrite(sequence, whole)
        }
        #expect(try small.verify().isWhole)
    }

    @Test(arguments: [1...1, 4...4, 1...8, 2...7] as [ClosedRange<UInt64>])
    func gapIsFound(missing: ClosedRange<UInt64>) throws {
        for sequence in missing { try replace(sequence, with: nil) }
        let report = try verify()
        #expect(report.entries == 9 - missing.count)
        #expect(report.problems.first?.sequence == missing.lowerBound)
        #expect(report.problems.first?.what.contains("missing, later ones exist") == true)
        if missing == 4...4 { #expect(report.problems.count == 1) }
    }

    @Test func emptyLedgerIsAProblem() throws {
        #expect(try Fixture().verify().problems == [.init(sequence: 1, what: "there is no first entry")])
    }

    @Test func exchangedEntriesAreFound() throws {
        let (third, fourth) = (try bytes(3), try bytes(4))
        try replace(3, with: fourth)
        try replace(4, with: third)
        #expect(Set(try verify().problems.map(\.sequence)).isSuperset(of: [3, 4]))
    }

    /// Whoever can write the store makes a whole chain anew from entry 4 on, with a key that was never added.
    @Test func rewrittenHistoryIsFound() throws {
        let intruder = try OpenSSHKey.generate(comment: "")
        var previous = try #require(try fixture.ledger.entry(3)).digest
        for sequence in 4...9 as ClosedRange<UInt64> {
            let old = try #require(try fixture.ledger.entry(sequence))
            let events = try old.events.map { json throws(DFSError) in try LedgerEvent(json: json) }
            let new = try LedgerEntry.signed(
                sequence: sequence, previous: previous, store: old.store, time: old.time, clock: old.clock,
                events: events, by: intruder)
            try replace(sequence, with: new.encoded)
            previous = new.digest
        }
        let report = try verify()
        #expect(report.problems.map(\.sequence) == [4, 5, 6, 7, 8, 9])
        #expect(report.problems.allSatisfy { $0.what.contains("never added") })
        #expect(report.state.runs.isEmpty)
    }

    /// Entries that a faulty writer signs validly.
    @Test func brokenRulesAreFound() throws {
        let last = try #require(try fixture.ledger.entry(9))
        func add(time: Int64, host: Int64, store: Int64, id: StoreID = Fixture.store) throws -> [String] {
            let base = last.time
            let entry = try LedgerEntry.signed(
                sequence: 10, previous: last.digest, store: id, time: base.adding(seconds: time),
                clock: EntryClock(
                    host: base.adding(seconds: host), store: base.adding(seconds: store), synchronised: .yes),
                events: [.commit("faces", 3)], by: fixture.signer)
            try replace(10, with: entry.encoded)
            return try verify().problems.map(\.what)
        }
        #expect(try add(time: 5, host: 5, store: 0) == [])
        #expect(try add(time: 0, host: -5, store: 0) == [])
        #expect(try add(time: -1, host: -1, store: 0) == ["its time is before that of its predecessor"])
        #expect(
            try add(time: 9, host: 5, store: 0) == ["its time is not the later of its host's and its predecessor's"])
        #expect(
            try add(time: 2, host: 5, store: 0) == ["its time is not the later of its host's and its predecessor's"])
        #expect(try add(time: 301, host: 301, store: 0).first?.contains("ahead of the store's") == true)
        let foreign = StoreID(UUIDv7(milliseconds: 5, random: []))
        #expect(try add(time: 0, host: 0, store: 0, id: foreign) == ["it belongs to store \(foreign)"])
    }

    @Test func entryByARevokedKeyIsAProblem() throws {
        let other = try OpenSSHKey.generate(comment: "")
        try fixture.ledger.append(signer: other) { _ in [.commit("other", 1)] }
        try fixture.append(.keyRevoked(other.publicKey.id, text: nil))
        let head = fixture.ledger.state.head
        let time = try #require(head.time)
        let entry = try LedgerEntry.signed(
            sequence: 12, previous: head.digest, store: Fixture.store, time: time,
            clock: EntryClock(host: time, store: time, synchronised: .yes), events: [.commit("other", 2)], by: other)
        try replace(12, with: entry.encoded)
        let report = try verify()
        #expect(
            report.problems == [.init(sequence: 12, what: "its key \(other.publicKey.id.text) was revoked by entry 11")]
        )
        #expect(report.state.datasets["other"]?.versions.count == 1)
        #expect(report.state.rejected.count == 1)
    }

    @Test func textsAreCompared() throws {
        let commitment = try #require(texts.keys.first)
        func problems(_ answer: [UInt8]?) throws -> [String] {
            try fixture.verify(texts: { _ throws(DFSError) in answer }).problems.map(\.what)
        }
        #expect(try problems(nil) == ["its text \(commitment.text) is missing"])
        #expect(try problems([]) == ["its text \(commitment.text) does not match"])
        #expect(try problems(texts[commitment]) == [])
        let failing = try fixture.verify(texts: { _ throws(DFSError) in throw DFSError(.operational, "gone") })
        #expect(failing.problems.map(\.what) == ["its text \(commitment.text) cannot be read: gone"])
        #expect(try fixture.verify().texts == 0)
    }

    @Test func strangeFilesAreNamed() throws {
        try fixture.backend.put("ledger/000000000/note.txt", [1])
        try fixture.backend.put("ledger/000000000/000000002000.json", [1])
        let report = try verify()
        #expect(report.isWhole)
        #expect(report.strays == ["ledger/000000000/000000002000.json", "ledger/000000000/note.txt"])
    }

    @Test func entryThatIsAFolderIsAProblem() throws {
        try replace(5, with: nil)
        try Files.makeDirectories(fixture.path(5))
        let report = try verify()
        #expect(report.problems.first?.sequence == 5)
        #expect(report.entries == 8)
        try Files.removeTree(fixture.path(5))
    }
}
