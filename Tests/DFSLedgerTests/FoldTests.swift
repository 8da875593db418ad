import DFSChunking
import DFSLedger
import DFSModel
import DFSSystem
import Testing

/// Builds entries in memory, each a minute after the other.
private struct Teller {
    var state = LedgerState(store: Fixture.store, storeFileDigest: Fixture.storeFileDigest)
    let signer: any Signer
    var clock: Int64 = 1_790_000_000

    init(signer: (any Signer)? = nil) throws {
        self.signer = try signer ?? OpenSSHKey.generate(comment: "")
        try tell(.storeCreated, .keyAdded(self.signer.publicKey, owner: true))
    }

    mutating func entry(_ events: [LedgerEvent], by other: (any Signer)? = nil) throws -> LedgerEntry {
        clock += 60
        let now = Timestamp(seconds: clock, nanoseconds: 0)
        return try LedgerEntry.signed(
            sequence: state.head.sequence + 1, previous: state.head.digest, store: Fixture.store, time: now,
            clock: EntryClock(host: now, store: now, synchronised: .yes), events: events, by: other ?? signer)
    }

    mutating func tell(_ events: LedgerEvent..., by other: (any Signer)? = nil) throws {
        let entry = try entry(events, by: other)
        try state.apply(entry, fileDigest: entry.digest)
    }

    /// The reason for which the last of `events` is rejected; checks that nothing else changed.
    mutating func reason(_ events: LedgerEvent..., by other: (any Signer)? = nil) throws -> String? {
        let before = state
        let entry = try entry(events, by: other)
        var after = before
        try after.apply(entry, fileDigest: entry.digest)
        let rejected = after.rejected.dropFirst(before.rejected.count)
        guard rejected.count == 1, let only = rejected.first, only.index == events.count - 1 else { return nil }
        #expect(after.datasets == before.datasets && after.runs == before.runs && after.packSets == before.packSets)
        #expect(after.projects == before.projects && after.keys == before.keys)
        return only.reason
    }
}

/// Signs nothing, for tests of many entries.
private struct Dummy: Signer {
    let publicKey = PublicKey(raw: [UInt8](repeating: 1, count: 32))!
    func sign(_ message: [UInt8]) throws(DFSError) -> [UInt8] { [1] }
}

struct FoldTests {
    @Test func versionsTagsAndTimes() throws {
        var teller = try Teller()
        try teller.tell(.commit("faces", 1))
        try teller.tell(.tag("best", "faces", 1))
        let tagged = Timestamp(seconds: teller.clock, nanoseconds: 0)
        try teller.tell(.commit("faces", 2), .tag("best", "faces", 2, moved: true), .tag("same", "faces", 2))
        try teller.tell(.tagRemoved(.init(tag: "best", holder: .dataset("faces"))))
        let faces = try #require(teller.state.datasets["faces"])
        #expect(faces.latest?.number == 2)
        #expect(faces.version(1)?.tree == .some("faces v1"))
        #expect(faces.version(0) == nil && faces.version(3) == nil && faces.version(-1) == nil)
        #expect(faces.tags == ["same": 2])
        #expect(faces.version(tag: "best") == nil)
        #expect(faces.version(tag: "best", at: tagged)?.number == 1)
        #expect(faces.version(tag: "best", at: tagged.adding(seconds: 59))?.number == 1)
        #expect(faces.version(tag: "best", at: tagged.adding(seconds: 60))?.number == 2)
        #expect(faces.version(tag: "best", at: tagged.adding(seconds: 120)) == nil)
        #expect(faces.tags(at: tagged) == ["best": 1])
        #expect(faces.version(at: tagged)?.number == 1)
        #expect(faces.version(at: tagged.adding(seconds: -61)) == nil)
        #expect(teller.state.datasetNames(at: tagged.adding(seconds: -61)) == [])
        #expect(teller.state.datasetNames(at: tagged) == ["faces"])
        #expect(teller.state.packSets.map(\.sequence) == [2, 4])
        #expect(teller.state.rejected.isEmpty)
        #expect(faces.versions[1].sequence == 4 && faces.versions[1].key == teller.signer.publicKey.id)
    }

    @Test func contentPrefixes() throws {
        var teller = try Teller()
        try teller.tell(.commit("faces", 1))
        try teller.tell(.commit("faces", 2))
        let first = TreeReference.some("faces v1")
        try teller.tell(
            .datasetCommitted(.init(dataset: "faces", version: 3, tree: first, record: .some("again"))))
        let faces = try #require(teller.state.datasets["faces"])
        let digits = first.content.digest.hex
        for count in [8, 9, 63, 64] {
            let prefix = try #require(DigestPrefix(digits.prefix(count)))
            #expect(faces.versions(content: prefix).map(\.number) == [1, 3])
            #expect(try faces.version(content: prefix)?.number == 1)
        }
        #expect(try faces.version(content: #require(DigestPrefix(String(repeating: "0", count: 12)))) == nil)
        let short = (0..<16).compactMap { DigestPrefix(String($0, radix: 16)) }
        #expect(short.flatMap { faces.versions(content: $0) }.count == 3)
        if let shared = short.first(where: { faces.versions(content: $0).count == 3 }) {
            #expect(throws: DFSError.self) { try faces.version(content: shared) }
        }
    }

    @Test func contradictionsAreRejected() throws {
        var teller = try Teller()
        try teller.tell(.commit("faces", 1), .commit("team/a", 1), .code("train", "s1"))
        try teller.tell(.start(run(1), data: [.faces(1)]), .tag("best", "faces", 1))
        #expect(try teller.reason(.commit("faces", 1)) == "the next version of faces is v2")
        #expect(try teller.reason(.commit("faces", 3)) == "the next version of faces is v2")
        #expect(try teller.reason(.commit("other", 2)) == "the next version of other is v1")
        #expect(try teller.reason(.commit("../faces", 1))?.contains("cannot name a dataset") == true)
        #expect(try teller.reason(.commit("Faces", 1))?.contains("only in case") == true)
        #expect(try teller.reason(.commit("faces/a", 1))?.contains("folder") == true)
        #expect(try teller.reason(.commit("team", 1))?.contains("folder") == true)
        #expect(try teller.reason(.commit("TEAM/b", 1))?.contains("only in case") == true)
        #expect(try teller.reason(.tag("x", "faces", 2)) == "there is no faces@v2")
        #expect(try teller.reason(.tag("x", "nothing", 1)) == "there is no nothing@v1")
        #expect(try teller.reason(.tag("v7", "faces", 1))?.contains("reads as a version") == true)
        #expect(try teller.reason(.tag("x", "faces", 1, moved: true)) == "the tag stood nowhere else")
        #expect(try teller.reason(.tagRemoved(.init(tag: "no", holder: .dataset("faces")))) == "faces has no tag no")
        #expect(try teller.reason(.tagRemoved(.init(tag: "no", holder: .run(run(1)))))?.contains("no tag") == true)
        #expect(try teller.reason(.code("train", "s1"))?.contains("already") == true)
        #expect(try teller.reason(.code("a/b", "s1"))?.contains("project") == true)
        #expect(try teller.reason(.code("train", "latest"))?.contains("reserved") == true)
        #expect(try teller.reason(.start(run(1), data: [])) == "run \(run(1)) was started before")
        #expect(try teller.reason(.start(run(2), data: [.faces(2)]))?.contains("no faces@v2") == true)
        #expect(try teller.reason(.start(run(2), data: [.faces(1), .faces(1)]))?.contains("two inputs") == true)
        #expect(try teller.reason(.start(run(2), data: [.faces(1, key: "a/b")]))?.contains("key") == true)
        #expect(try teller.reason(.finish(run(9))) == "there is no run \(run(9))")
        #expect(try teller.reason(.runInterrupted(.end(run(1), .failed))) == "its state is not interrupted")
        #expect(try teller.reason(.storeCreated) == "the store exists already")
        #expect(try teller.reason(.keyAdded(teller.signer.publicKey, owner: false))?.contains("added before") == true)
        #expect(try teller.reason(.unknown("text"))?.contains("not an object") == true)
        #expect(try teller.reason(.unknown(["kind": "tag.set", "tag": "x"]))?.contains("missing") == true)
        let other = LedgerEvent.runStarted(
            .init(run: run(2), project: "train", snapshot: "s9", data: [], record: .some("x")))
        #expect(try teller.reason(other) == "there is no snapshot s9 of train")
    }

    @Test func tagMovesOnlyWhenItSaysSo() throws {
        var teller = try Teller()
        try teller.tell(.commit("faces", 1), .commit("faces", 2), .tag("best", "faces", 1))
        #expect(try teller.reason(.tag("best", "faces", 2)) == "the tag stands on v1")
        #expect(try teller.reason(.tag("best", "faces", 1, moved: true)) == "the tag stood nowhere else")
        try teller.tell(.tag("best", "faces", 2, moved: true))
        #expect(teller.state.datasets["faces"]?.tags == ["best": 2])
        #expect(teller.state.rejected.isEmpty)
    }

    @Test func endOfARun() throws {
        let stranger = try OpenSSHKey.generate(comment: "")
        var teller = try Teller()
        try teller.tell(.code("train", "s1"), .start(run(1), data: []), .start(run(2), data: []))
        #expect(teller.state.run(run(1))?.outcome == nil)
        try teller.tell(.finish(run(1)))
        #expect(teller.state.run(run(1))?.outcome == .succeeded)
        #expect(try teller.reason(.finish(run(1)))?.contains("ended before") == true)
        #expect(try teller.reason(.runInterrupted(.end(run(1), .interrupted)))?.contains("ended before") == true)

        try teller.tell(
            .keyAdded(stranger.publicKey, owner: false), .runInterrupted(.end(run(2), .interrupted)), by: stranger)
        let found = Timestamp(seconds: teller.clock, nanoseconds: 0)
        #expect(try teller.reason(.finish(run(2)), by: stranger)?.contains("ended before") == true)
        try teller.tell(.finish(run(2)))
        let ended = try #require(teller.state.run(run(2)))
        #expect(ended.outcome == .succeeded && ended.supersededEnd?.isFound == true)
        #expect(ended.end(at: found)?.outcome == .interrupted)
        #expect(ended.end(at: found.adding(seconds: 999))?.outcome == .succeeded)
        #expect(ended.end(at: found.adding(seconds: -1)) == nil)
        #expect(try teller.reason(.finish(run(2)))?.contains("ended before") == true)
    }

    @Test func keysAndTheirOwners() throws {
        let second = try OpenSSHKey.generate(comment: "")
        let third = try OpenSSHKey.generate(comment: "")
        var teller = try Teller()
        let owner = teller.signer.publicKey.id
        #expect(teller.state.keys[owner]?.isVouchedFor == true)
        try teller.tell(.keyAdded(second.publicKey, owner: false), .commit("faces", 1), by: second)
        #expect(teller.state.keys[second.publicKey.id]?.isVouchedFor == false)
        #expect(try teller.reason(.keyApproved(second.publicKey.id, text: nil), by: second)?.contains("owner") == true)
        #expect(try teller.reason(.keyAdded(third.publicKey, owner: true), by: second)?.contains("owner") == true)
        #expect(try teller.reason(.keyRevoked(owner, text: nil), by: second)?.contains("owner") == true)
        #expect(try teller.reason(.keyApproved(third.publicKey.id, text: nil))?.contains("never added") == true)
        try teller.tell(.keyApproved(second.publicKey.id, text: nil))
        #expect(teller.state.keys[second.publicKey.id]?.isVouchedFor == true)
        try teller.tell(.keyRevoked(second.publicKey.id, text: nil))
        #expect(try teller.reason(.commit("faces", 2), by: second) == "the key that signed it is revoked")
        try teller.tell(.keyAdded(third.publicKey, owner: true))
        try teller.tell(.keyRevoked(owner, text: nil), by: third)
        #expect(teller.state.keys[owner]?.isRevoked == true)
    }

    @Test func entriesOutOfPlaceChangeNothing() throws {
        var teller = try Teller()
        let signer = teller.signer
        let head = teller.state.head
        let time = try #require(head.time)
        func variant(
            sequence: UInt64? = nil, previous: Digest? = nil, store: StoreID? = nil, back: Int64 = 0,
            by other: (any Signer)? = nil, events: [LedgerEvent] = [.commit("faces", 1)]
        ) throws -> LedgerEntry {
            let now = time.adding(seconds: -back)
            return try LedgerEntry.signed(
                sequence: sequence ?? head.sequence + 1, previous: previous ?? head.digest,
                store: store ?? Fixture.store, time: now,
                clock: EntryClock(host: now, store: now, synchronised: .no), events: events, by: other ?? signer)
        }
        let stranger = try OpenSSHKey.generate(comment: "")
        let foreign = StoreID(UUIDv7(milliseconds: 1, random: []))
        let wrong = [
            try variant(sequence: 1), try variant(sequence: 3), try variant(previous: .zero),
            try variant(store: foreign), try variant(back: 1), try variant(by: stranger),
            try variant(by: stranger, events: [.keyAdded(stranger.publicKey, owner: true)]),
        ]
        for entry in wrong {
            let before = teller.state
            #expect(throws: DFSError.self) { try teller.state.apply(entry, fileDigest: entry.digest) }
            #expect(teller.state == before)
        }
        let forged = try variant(by: Forger(publicKey: signer.publicKey))
        #expect(throws: DFSError.self) { try teller.state.apply(forged, fileDigest: forged.digest) }
        try teller.state.apply(forged, fileDigest: forged.digest, signatures: .trust)
        var empty = LedgerState(store: Fixture.store, storeFileDigest: head.digest)
        let first = try variant(sequence: 1)
        #expect(failure { try empty.apply(first, fileDigest: first.digest) }?.cause?.contains("store.created") == true)
    }

    private struct Forger: Signer {
        let publicKey: PublicKey
        func sign(_ message: [UInt8]) throws(DFSError) -> [UInt8] {
            try OpenSSHKey.generate(comment: "").sign(message)
        }
    }

    @Test func runsAreFoundByDigitsNamesAndLatest() throws {
        var teller = try Teller()
        let other = try OpenSSHKey.generate(comment: "")
        try teller.tell(.code("train", "s1"))
        for n in 1...20 as ClosedRange<UInt64> { try teller.tell(.start(run(n), data: [])) }
        try teller.tell(.keyAdded(other.publicKey, owner: false), .start(run(21), data: []), by: other)
        let state = teller.state
        let own = teller.signer.publicKey.id
        for n in 1...21 as ClosedRange<UInt64> {
            let id = run(n)
            let digits = id.uuid.digits
            for reference in [id.description, String(digits.suffix(6)), String(digits.suffix(8)), digits] {
                #expect(try state.run(reference: reference, own: nil).id == id)
            }
            #expect(try state.run(reference: String(digits.prefix(16)).uppercased(), own: nil).id == id)
            #expect(try state.run(reference: String(id.description.prefix(18)), own: nil).id == id)
            #expect(state.runs(matching: RunName.of(id)).contains { $0.id == id })
        }
        #expect(
            failure { _ = try state.run(reference: String(run(1).uuid.digits.prefix(6)), own: nil) }?
                .what.contains("ambiguous") == true)
        #expect(state.runs(matching: String(run(1).uuid.digits.suffix(5))).isEmpty)
        for reference in ["", "zzzzzz", "calm-nothing", "------", "calm-otter-x"] {
            #expect(failure { _ = try state.run(reference: reference, own: nil) }?.code == .noReference)
        }
        #expect(try state.run(reference: "latest", own: nil).id == run(21))
        #expect(try state.run(reference: "latest", own: own).id == run(20))
        let start = try #require(state.run(run(5))).time
        #expect(state.latestRun(at: start)?.id == run(5))
        #expect(state.runs(at: start).count == 5)
    }

    @Test func twentyThousandEntries() throws {
        var teller = Teller.quick()
        let count = 20_000
        for n in 0..<count {
            let dataset = "set\(n % 100)"
            let entry = try teller.entry([n % 2 == 0 ? .commit(dataset, n / 100 + 1) : .unknown(["kind": "x"])])
            try teller.state.apply(entry, fileDigest: Digest(words: (UInt64(n), 0, 0, 1)), signatures: .trust)
        }
        #expect(teller.state.head.sequence == UInt64(count) + 1)
        #expect(teller.state.datasets.count == 50)
        #expect(teller.state.datasets.values.allSatisfy { $0.versions.count <= 200 })
        #expect(teller.state.packSets.count + teller.state.rejected.count == count / 2)
        let read = try LedgerState(rows: teller.state.rows())
        #expect(read == teller.state)
    }
}

extension Teller {
    /// A teller whose signatures are never looked at.
    fileprivate static func quick() -> Teller { Teller(dummy: Dummy()) }

    private init(dummy: Dummy) {
        signer = dummy
        if let entry = try? entry([.storeCreated, .keyAdded(dummy.publicKey, owner: true)]) {
            try? state.apply(entry, fileDigest: entry.digest, signatures: .trust)
        }
    }
}
