import DFSLedger
import DFSModel
import DFSRemote
import DFSSystem
import Glibc
import Synchronization
import Testing

/// A backend in whose place tests put events between two steps of a writer.
private struct Intervening: Backend {
    let base: DirectoryBackend
    var beforePut: @Sendable (String) -> Void = { _ in }
    var storeTime: (@Sendable () -> Timestamp)?
    let looks = Counter()

    var location: String { base.location }
    func get(_ key: String, limit: Int) throws(DFSError) -> [UInt8]? { try base.get(key, limit: limit) }
    func open(_ key: String) throws(DFSError) -> any BackendObject { try base.open(key) }
    func begin() throws(DFSError) -> DurableFile { try base.begin() }
    func publish(_ file: DurableFile, as key: String) throws(DFSError) { try base.publish(file, as: key) }
    func length(of key: String) throws(DFSError) -> UInt64? {
        looks.increment()
        return try base.length(of: key)
    }
    func put(_ key: String, _ bytes: [UInt8]) throws(DFSError) { try base.put(key, bytes) }
    func putIfAbsent(_ key: String, _ bytes: [UInt8]) throws(DFSError) -> Bool {
        beforePut(key)
        return try base.putIfAbsent(key, bytes)
    }
    func remove(_ key: String) throws(DFSError) { try base.remove(key) }
    func list(_ prefix: String) throws(DFSError) -> [String] { try base.list(prefix) }
    func time() throws(DFSError) -> Timestamp { if let storeTime { storeTime() } else { try base.time() } }
    func freeSpace() throws(DFSError) -> UInt64? { try base.freeSpace() }
}

struct LedgerTests {
    let fixture: Fixture

    init() throws { fixture = try Fixture() }

    @Test func firstEntryMakesStoreAndOwner() throws {
        let entry = try #require(try fixture.ledger.create(signer: fixture.signer))
        let key = fixture.signer.publicKey
        #expect(entry.sequence == 1)
        #expect(entry.events == [LedgerEvent.storeCreated, .keyAdded(key, owner: true)].map(\.json))
        #expect(entry.previous == Fixture.storeFileDigest)
        #expect(try Files.read(fixture.path(1)) == entry.encoded)
        #expect(try FileStatus.of(path: fixture.path(1))?.mode == 0o444)
        #expect(try fixture.ledger.create(signer: fixture.signer) == nil)
        let drift = try #require(fixture.ledger.state.head.time).seconds - entry.clock.store.seconds
        #expect(abs(drift) < 60)
    }

    @Test func newKeyIsAddedInFrontOfItsEvents() throws {
        try fixture.ledger.create(signer: fixture.signer)
        let other = try OpenSSHKey.generate(comment: "")
        let entry = try #require(try fixture.ledger.append(signer: other) { _ in [.commit("faces", 1)] })
        #expect(entry.events.first == LedgerEvent.keyAdded(other.publicKey, owner: false).json)
        #expect(entry.events.count == 2)
        let next = try #require(try fixture.ledger.append(signer: other) { _ in [.commit("faces", 2)] })
        #expect(next.events.count == 1)
        #expect(next.previous == entry.digest)
        #expect(try fixture.ledger.append(signer: other) { _ in [] } == nil)
        #expect(try fixture.ledger.append(signer: other) { _ in nil } == nil)
        #expect(try fixture.ledger.entry(3) == next)
        #expect(try fixture.ledger.entry(4) == nil)
    }

    @Test func ledgerBeginsWithAnyFirstEvents() throws {
        let entry = try #require(try fixture.append(.commit("faces", 1)))
        #expect(entry.sequence == 1 && entry.events.count == 3)
        #expect(fixture.ledger.state.datasets["faces"]?.versions.count == 1)
    }

    @Test func eventsThatTheFoldRejectsAreNotWritten() throws {
        try fixture.ledger.create(signer: fixture.signer)
        let error = failure { try fixture.append(.commit("faces", 2)) }
        #expect(error?.code == .refused)
        #expect(error?.cause == "the next version of faces is v1")
        #expect(try fixture.ledger.entry(2) == nil)
        try fixture.append(.keyRevoked(fixture.signer.publicKey.id, text: nil))
        #expect(failure { try fixture.append(.commit("faces", 1)) }?.code == .refused)
    }

    @Test func headIsFoundByGalloping() throws {
        let backend = Intervening(base: fixture.backend)
        let ledger = Fixture.open(backend)
        #expect(try ledger.head(after: 0) == 0)
        for head in 1...70 as ClosedRange<UInt64> {
            #expect(try fixture.backend.putIfAbsent(EntryKey.path(head), [0]))
            for known in [0, head / 2, head - 1, head] { #expect(try ledger.head(after: known) == head) }
        }
        let before = backend.looks.current
        _ = try ledger.head(after: 0)
        #expect(backend.looks.current - before <= 14)
    }

    /// Between a writer's look and its put, another commits: the first sees the newer state and takes the next number.
    @Test func loserOfARaceValidatesAgain() throws {
        try fixture.ledger.create(signer: fixture.signer)
        let rival = Fixture.open(fixture.backend)
        let rivalKey = try OpenSSHKey.generate(comment: "rival")
        let rounds = Counter()
        let backend = Intervening(
            base: fixture.backend,
            beforePut: { _ in
                guard rounds.increment() <= 3 else { return }
                _ = try? rival.append(signer: rivalKey) { state in
                    [.commit("faces", (state.datasets["faces"]?.versions.count ?? 0) + 1)]
                }
            })
        let seen = Counter()
        let entry = try Fixture.open(backend).append(signer: fixture.signer) { state in
            seen.increment()
            return [.commit("faces", (state.datasets["faces"]?.versions.count ?? 0) + 1)]
        }
        #expect(entry?.sequence == 5)
        #expect(seen.current == 4)
        let state = try fixture.ledger.refresh()
        #expect(
            state.datasets["faces"]?.versions.map(\.key.text)
                == [rivalKey, rivalKey, rivalKey, fixture.signer].map(\.publicKey.id.text))
        #expect(try fixture.verify().isWhole)
    }

    /// The answer to a put is lost after the bytes arrived: the entry counts once.
    @Test func lostAnswerIsNotALostWrite() throws {
        try fixture.ledger.create(signer: fixture.signer)
        let base = fixture.backend
        let entries = Mutex<[String]>([])
        let backend = Intervening(
            base: base,
            beforePut: { key in entries.withLock { $0.append(key) } })
        struct Forgetful: Backend {
            let inner: Intervening
            var location: String { inner.location }
            func get(_ key: String, limit: Int) throws(DFSError) -> [UInt8]? { try inner.get(key, limit: limit) }
            func open(_ key: String) throws(DFSError) -> any BackendObject { try inner.open(key) }
            func begin() throws(DFSError) -> DurableFile { try inner.begin() }
            func publish(_ file: DurableFile, as key: String) throws(DFSError) { try inner.publish(file, as: key) }
            func length(of key: String) throws(DFSError) -> UInt64? { try inner.length(of: key) }
            func put(_ key: String, _ bytes: [UInt8]) throws(DFSError) { try inner.put(key, bytes) }
            func putIfAbsent(_ key: String, _ bytes: [UInt8]) throws(DFSError) -> Bool {
                // The first answer is lost; whoever sent it asks again with the same bytes.
                _ = try inner.putIfAbsent(key, bytes)
                return try inner.putIfAbsent(key, bytes)
            }
            func remove(_ key: String) throws(DFSError) { try inner.remove(key) }
            func list(_ prefix: String) throws(DFSError) -> [String] { try inner.list(prefix) }
            func time() throws(DFSError) -> Timestamp { try inner.time() }
            func freeSpace() throws(DFSError) -> UInt64? { nil }
        }
        let entry = try Fixture.open(Forgetful(inner: backend)).append(signer: fixture.signer) { _ in
            [.commit("faces", 1)]
        }
        #expect(entry?.sequence == 2)
        #expect(try fixture.ledger.head(after: 0) == 2)
        #expect(entries.withLock { $0.count } == 2)
    }

    /// Writers with a key and a view of the ledger each, as separate hosts have.
    @Test func eightWritersLoseAndDoubleNothing() throws {
        let writers = 8
        let each = 50
        try fixture.ledger.create(signer: fixture.signer)
        let backend = fixture.backend
        let failures = Mutex<[String]>([])
        onThreads(writers) { writer in
            let ledger = Fixture.open(backend)
            do {
                let signer = try OpenSSHKey.generate(comment: "\(writer)")
                for round in 1...each {
                    // One dataset of its own and one that all commit to.
                    try ledger.append(signer: signer) { state in
                        [
                            .commit("own\(writer)", round),
                            .commit("all", (state.datasets["all"]?.versions.count ?? 0) + 1),
                        ]
                    }
                }
            } catch { failures.withLock { $0.append("\(error)") } }
        }
        #expect(failures.withLock { $0 } == [])
        let report = try fixture.verify()
        #expect(report.problems == [] && report.strays == [])
        #expect(report.entries == writers * each + 1)
        #expect(report.state.rejected.isEmpty)
        #expect(report.state.datasets["all"]?.versions.count == writers * each)
        #expect(report.keys.count == writers + 1)
        #expect(report.unvouchedKeys.count == writers)
        for writer in 0..<writers {
            #expect(report.state.datasets["own\(writer)"]?.versions.count == each)
        }
        #expect(try DirectoryListing.names(of: backend.temporaryDirectory).isEmpty)
    }

    /// Threads that share one ledger object.
    @Test func threadsOfOneProcess() throws {
        try fixture.ledger.create(signer: fixture.signer)
        let (ledger, signer) = (fixture.ledger, fixture.signer)
        onThreads(4) { _ in
            for _ in 0..<10 {
                _ = try? ledger.append(signer: signer) { state in
                    [.commit("all", (state.datasets["all"]?.versions.count ?? 0) + 1)]
                }
                _ = try? ledger.refresh()
            }
        }
        #expect(fixture.ledger.state.datasets["all"]?.versions.count == 40)
        #expect(try fixture.verify().entries == 41)
    }

    @Test func hostAheadOfTheStoreIsRefused() throws {
        let base = try fixture.backend.time()
        func clock(_ ahead: Int64) -> LedgerClock {
            LedgerClock(now: { base.adding(seconds: ahead) }, synchronised: { .no })
        }
        let backend = Intervening(base: fixture.backend, storeTime: { base })
        let ledger = Fixture.open(backend)
        let error = failure { try ledger.create(signer: fixture.signer, clock: clock(301)) }
        #expect(error?.code == .refused)
        #expect(error?.what == "this host's clock is 301 seconds ahead of the store's")
        #expect(try ledger.head(after: 0) == 0)
        let entry = try #require(try ledger.create(signer: fixture.signer, clock: clock(300)))
        #expect(entry.time == base.adding(seconds: 300).wholeMicroseconds)
        #expect(entry.clock.store == base.wholeMicroseconds && entry.clock.synchronised == .no)
        // A host behind its predecessor takes the predecessor's time and says what it saw itself.
        let behind = try #require(
            try ledger.append(signer: fixture.signer, clock: clock(-1000)) { _ in [.commit("faces", 1)] })
        #expect(behind.time == entry.time)
        #expect(behind.clock.host == base.adding(seconds: -1000).wholeMicroseconds)
        #expect(try fixture.verify().isWhole)
    }

    @Test func cachedStateIsUsedOnlyWhereItBelongs() throws {
        try fixture.tellStory()
        let state = fixture.ledger.state
        try fixture.append(.commit("faces", 3))
        let resumed = Fixture.open(fixture.backend, state: try LedgerState(rows: state.rows()))
        #expect(try resumed.refresh() == fixture.ledger.state)

        let foreign = try Fixture()
        try foreign.tellStory()
        try foreign.append(.commit("other", 1))
        let misled = Fixture.open(fixture.backend, state: foreign.ledger.state)
        #expect(try misled.refresh() == fixture.ledger.state)
        let shorter = try Fixture()
        #expect(try Fixture.open(shorter.backend, state: state).refresh().head.sequence == 0)
    }

    @Test func unreadableEntryStopsWithItsNumber() throws {
        try fixture.tellStory()
        let path = fixture.path(3)
        chmod(path, 0o644)
        let bytes = try #require(try Files.read(path))
        try Files.remove(path)
        #expect(try fixture.backend.putIfAbsent(EntryKey.path(3), Array(bytes.dropLast(5))))
        let ledger = Fixture.open(fixture.backend)
        let error = failure { try ledger.refresh() }
        #expect(error?.code == .corrupt)
        #expect(error?.what == "cannot read ledger entry 3 of \(fixture.backend.root)")
        #expect(ledger.state.head.sequence == 2)
    }

    @Test func newerEntryFormatIsNamed() throws {
        try fixture.ledger.create(signer: fixture.signer)
        #expect(try fixture.backend.putIfAbsent(EntryKey.path(2), Array(#"{"format":"dfs.entry/2"}"#.utf8)))
        #expect(failure { try fixture.ledger.refresh() }?.code == .newerFormat)
    }
}
