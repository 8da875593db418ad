import DFSChunking
import DFSHistory
import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem
import DFSTestSupport
import Glibc
import Synchronization
import Testing

/// What nothing needs goes, and nothing else, whatever happens at the same time.
@Suite struct CollectionTests {
    private let test: TestRepository
    private var repository: Repository { test.repository }
    private var source: String { test.directory.sub("source") }

    init() throws { test = try TestRepository() }

    private func fill(_ name: String, _ seed: UInt64, files: Int = 12, bytes: Int = 6000) throws {
        var random = SeededGenerator(seed: seed)
        for i in 0..<files { try test.directory.write("source/\(name)/\(i)", random.bytes(bytes + i * 700)) }
    }

    private func drop(_ name: String) throws { try Files.removeTree(source + "/" + name) }

    private func commit(_ dataset: String = "x", on other: Repository? = nil) throws -> VersionRecord {
        var options = CaptureOptions()
        options.threads = 2
        var commit = Commit(repository: other ?? repository, dataset: dataset, source: source, options: options)
        commit.allowShrink = true
        return try commit.run(by: test.signer).version
    }

    @discardableResult
    private func remove(_ version: Int?, of dataset: String = "x") throws -> Removal.Outcome {
        try Removal(repository: repository, dataset: dataset, version: version, reason: "no longer needed")
            .run(by: test.signer)
    }

    @discardableResult
    private func collect(
        grace: Int64 = 0, compactBelow: Int = 50, on other: Repository? = nil
    ) throws -> CollectionOutcome {
        try Collector(
            repository: other ?? repository, options: .init(grace: grace, compactBelow: compactBelow)
        ).collect(by: test.signer)
    }

    /// Nothing is wrong with the store, as hosts see it that know nothing and much of it; every version reads the same.
    private func expectSound(
        _ versions: [VersionRecord] = [], unreferenced: Int = 0, source at: SourceLocation = #_sourceLocation
    ) throws {
        let fresh = try test.reopened(cache: "fresh-" + Randomness.hex(bytes: 4))
        for host in [repository, fresh] {
            let report = try Checker(repository: host).run(data: true, files: true)
            #expect(report.problems == [], sourceLocation: at)
            #expect(report.unreferenced == unreferenced, sourceLocation: at)
            #expect(try Audit(repository: host).run(.allRuns).problems == [], sourceLocation: at)
            let state = try host.state()
            #expect(state.rejected.isEmpty, sourceLocation: at)
            for version in versions {
                try host.reader.walk(test.root(version)) { path, entry throws(DFSError) in
                    if entry.kind == .file { _ = try host.reader.bytes(of: entry) }
                }
            }
        }
    }

    private func packBytes() throws -> UInt64 {
        try repository.backend.list("packs/").reduce(0) { $0 + (try repository.backend.length(of: $1) ?? 0) }
    }

    // MARK: What goes and what stays

    @Test func aRemovedVersionIsForgottenAndTheOthersStay() throws {
        try fill("kept", 1)
        let one = try commit()
        let before = try packBytes()
        try fill("only-v2", 2, files: 30)
        _ = try commit()
        let grown = try packBytes() - before
        try drop("only-v2")
        try fill("later", 3)
        let three = try commit()
        let full = try packBytes()
        let removal = try remove(2)
        #expect(removal.latest == 3 && removal.versions.map(\.number) == [2])
        let plan = try Collector(repository: repository, options: .init()).plan()
        #expect(plan.dead.allSatisfy { $0.owners == ["x@v2"] } && !plan.dead.isEmpty)
        #expect(try packBytes() > full - 1, "planning changes nothing")
        // In grace, what is condemned is there.
        let condemned = try collect(grace: 3600)
        #expect(condemned.condemnedPacks > 0 && condemned.deletedPacks == 0)
        #expect(try packBytes() > full)
        try expectSound([one, three])
        let outcome = try collect()
        #expect(outcome.deletedPacks == condemned.condemnedPacks)
        let freed = full - (try packBytes())
        #expect(freed > grown * 95 / 100, "freed \(freed) of \(grown)")
        try expectSound([one, three])
        // Nothing is left to do.
        let again = try Collector(repository: repository, options: .init(grace: 0)).plan()
        #expect(again.isEmpty && again.waiting.isEmpty)
    }

    @Test func numbersAreNeverGivenAgain() throws {
        try fill("a", 1)
        _ = try commit()
        try fill("b", 2)
        _ = try commit()
        #expect(try remove(nil).latest == nil)
        try collect()
        let resolver = Resolver(repository: repository, state: try repository.state(), now: Clock.now())
        for reference in ["x", "x@v1", "x@v2", "x@latest"] {
            let error = #expect(throws: DFSError.self) { try resolver.resolve(reference) }
            #expect(error?.code == .noReference && error?.cause?.contains("no longer needed") == true, "\(reference)")
        }
        let version = try commit()
        #expect(version.number == 3)
        try expectSound([version])
    }

    /// The same bytes are committed again right after their pack was condemned, by hosts that know and that do not.
    @Test(arguments: [false, true]) func contentThatComesBackIsStoredAgain(isDeleted: Bool) throws {
        let other = try test.reopened(cache: "other")
        try fill("kept", 1)
        _ = try commit()
        try fill("again", 2)
        _ = try commit()
        _ = try commit("y", on: other)
        try remove(nil, of: "y")
        try drop("again")
        _ = try commit()
        try remove(2)
        try collect(grace: isDeleted ? 0 : 3600)
        try fill("again", 2)
        let four = try commit()
        let five = try commit("z", on: other)
        try collect()
        try expectSound([four, five])
    }

    /// Two commits stored the same bytes at once; one of the two packs may go, and both sets stay true.
    @Test func equalBytesInTwoPacksAreKeptOnce() throws {
        let other = try test.reopened(cache: "other")
        try fill("a", 1, files: 30)
        let writer = StoreWriter(store: other.objects)
        _ = try other.state()
        let capture = Capture(
            root: source, writer: writer, reader: other.reader, cache: nil, previous: nil, options: CaptureOptions())
        let result = try capture.run()
        let one = try commit()
        // The other was slower, and knew nothing of the first.
        let record = try writer.putHere(["format": "dfs.commit/1"])
        let began = try test.reopened(cache: "unknowing").ledger.state
        let finished = try writer.finish(base: nil)
        _ = try other.record(by: test.signer, relyingOn: Reliance(finished, began: began)) { _ in
            [
                .datasetCommitted(
                    .init(
                        dataset: "y", version: 1, tree: result.summary,
                        record: RecordReference(record: record, packs: finished.packs, pack: finished.pack)))
            ]
        }
        let two = try #require(try other.state().datasets["y"]?.latest)
        let outcome = try collect()
        #expect(outcome.condemnedPacks > 0)
        try expectSound([one, two])
    }

    // MARK: Compaction

    @Test func halfDeadPacksAreRewritten() throws {
        let old = try test.reopened(cache: "old")
        try fill("kept", 1, files: 8, bytes: 9000)
        try fill("dead", 2, files: 40, bytes: 9000)
        for i in 0..<30 { try test.directory.write("source/dead/text\(i)", Array("line \(i)\n".utf8).repeated(200)) }
        for i in 0..<4 { try test.directory.write("source/kept/text\(i)", Array("kept \(i)\n".utf8).repeated(200)) }
        try test.directory.write("source/kept/empty", [])
        var random = SeededGenerator(seed: 9)
        let large = random.bytes(1_200_000)
        try test.directory.write("source/kept/large", large)
        try test.directory.write("source/dead/large", random.bytes(2_500_000))
        _ = try commit()
        _ = try old.state()
        try drop("dead")
        // A large file of which most chunks stay.
        try test.directory.write("source/kept/large", Array(large[400_000...]))
        let two = try commit()
        let before = try packBytes()
        try remove(1)
        let outcome = try collect()
        #expect(outcome.written > 0 && outcome.deletedPacks > 0)
        #expect(try packBytes() < before / 2)
        try expectSound([two])
        // A host whose index is a day old notices.
        _ = try old.state()
        try old.reader.walk(test.root(two)) { _, entry throws(DFSError) in
            if entry.kind == .file { _ = try old.reader.bytes(of: entry) }
        }
        // The next version rests on what was rewritten, and so does the one after.
        try fill("new", 5)
        let three = try commit(on: old)
        #expect(three.number == 3)
        try fill("more", 6)
        let four = try commit()
        try expectSound([two, three, four])
        try remove(3)
        try collect(compactBelow: 100)
        try expectSound([two, four])
    }

    // MARK: Races

    /// A committer is stopped between its packs and its entry; meanwhile its packs are condemned, or even deleted.
    @Test(arguments: [false, true]) func aStoppedCommitterStoresAgain(isDeleted: Bool) throws {
        try fill("a", 1)
        _ = try commit()
        let slow = try test.reopened(cache: "slow")
        try fill("b", 2)
        let signer = StoppingSigner(test.signer)
        signer.action.withLock {
            $0 = { [repository, signer = test.signer] in
                let options = Collector.Options(grace: 0)
                if isDeleted {
                    _ = try Collector(repository: repository, options: options).collect(by: signer)
                } else {
                    // Condemned only: everything that no entry names.
                    let packs = try repository.backend.list("packs/").filter { $0.hasSuffix(".idx") }
                    let plan = try Collector(repository: repository, options: options).plan()
                    #expect(!plan.dead.isEmpty && plan.dead.count < packs.count)
                    let event = LedgerEvent.PacksCondemned(
                        packs: plan.dead.map(\.pack), replacements: [:], seen: plan.seen)
                    try repository.append(by: signer) { state throws(DFSError) in
                        [LedgerEvent.packsCondemned(event).heeding(state.condemnations.newest)]
                    }
                }
            }
        }
        let outcome = try Commit(
            repository: slow, dataset: "x", source: source, options: CaptureOptions()
        ).run(by: signer)
        #expect(outcome.version.number == 2 && outcome.isNew)
        #expect(try repository.state().condemnations.all.count == 1)
        try collect()
        try expectSound([outcome.version])
    }

    /// A committer has found content in a pack that is condemned before its entry.
    @Test func aCommitterThatReliedOnWhatIsCondemnedStoresAgain() throws {
        try fill("kept", 1)
        _ = try commit()
        try fill("shared", 2)
        _ = try commit()
        try drop("shared")
        _ = try commit()
        try remove(2)
        let slow = try test.reopened(cache: "slow")
        try fill("shared", 2)
        let signer = StoppingSigner(test.signer)
        signer.action.withLock {
            $0 = { [repository, signer = test.signer] in
                _ = try Collector(repository: repository, options: .init(grace: 0)).collect(by: signer)
            }
        }
        var commit = Commit(repository: slow, dataset: "x", source: source, options: CaptureOptions())
        commit.allowShrink = true
        let outcome = try commit.run(by: signer)
        #expect(outcome.version.number == 4)
        try expectSound([outcome.version])
    }

    /// The collector is stopped before its entry, while a commit relies on what is about to be condemned.
    @Test func aCollectorSeesWhatCameInBetween() throws {
        try fill("kept", 1)
        _ = try commit()
        try fill("shared", 2)
        _ = try commit()
        try drop("shared")
        _ = try commit()
        try remove(2)
        try fill("shared", 2)
        let version = Mutex<VersionRecord?>(nil)
        let signer = StoppingSigner(test.signer)
        let other = try test.reopened(cache: "other")
        signer.action.withLock {
            $0 = { [source, signer = test.signer] in
                var commit = Commit(repository: other, dataset: "y", source: source, options: CaptureOptions())
                commit.allowShrink = true
                let made = try commit.run(by: signer).version
                version.withLock { $0 = made }
            }
        }
        _ = try Collector(repository: repository, options: .init(grace: 0)).collect(by: signer)
        let made = try #require(version.withLock { $0 })
        try expectSound([made])
    }

    /// Rows of the stat cache name content of a version that is gone, in a directory that comes back.
    @Test func rowsOfTheStatCacheGoWithWhatTheyName() throws {
        try fill("kept", 1)
        try fill("away", 2)
        _ = try commit()
        #expect(rename(source + "/away", test.directory.sub("away")) == 0)
        let two = try commit()
        try remove(1)
        try collect()
        #expect(rename(test.directory.sub("away"), source + "/away") == 0)
        let three = try commit()
        try expectSound([two, three])
    }

    private func record(_ folder: String, as dataset: String = "x", on host: Repository) throws -> VersionRecord {
        var commit = Commit(
            repository: host, dataset: dataset, source: test.directory.sub(folder), options: CaptureOptions())
        commit.allowShrink = true
        return try commit.run(by: test.signer).version
    }

    private func removeAndCollect(_ version: Int, on host: Repository) throws {
        _ = try Removal(repository: host, dataset: "x", version: version, reason: "no longer needed")
            .run(by: test.signer)
        try collect(on: host)
    }

    /// The recipe of an unchanged file lies in the pack that was written with an event, which its set does not name.
    @Test func rowsGoAlsoWithTheRecipesThatTheyName() throws {
        let other = try test.reopened(cache: "other")
        var random = SeededGenerator(seed: 40)
        let large = random.bytes(8_000_000)
        try test.directory.write("source/f", large)
        try test.directory.write("source/t", Array("one".utf8))
        // The data stay for the sake of another dataset; the recipe does not.
        try test.directory.write("shared/g", Array(large.prefix(6_500_000)))
        usleep(50_000)
        _ = try record("source", on: repository)
        _ = try record("shared", as: "shared", on: repository)
        try test.directory.write("elsewhere/u", Array("u".utf8))
        _ = try record("elsewhere", on: other)
        try removeAndCollect(1, on: other)
        try test.directory.write("source/t", Array("two".utf8))
        let three = try record("source", on: repository)
        #expect(three.number == 3)
        try expectSound([three])
    }

    /// Calls `body` once, when a capture looks at its first name.
    private final class Interjection: CaptureFilter {
        private let body: @Sendable () -> Void
        private let isDone = Atomic<Bool>(false)
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }

        func includes(_ path: [UInt8], isDirectory: Bool) -> Bool {
            if !isDone.exchange(true, ordering: .relaxed) { body() }
            return true
        }
    }

    /// What is adopted from the version before is not looked up: when that is removed and collected meanwhile, the commit
    /// begins anew.
    @Test func adoptedEntriesAreReliedOn() throws {
        let other = try test.reopened(cache: "other")
        for folder in ["source", "elsewhere"] {
            for i in 0..<600 { try test.directory.write("\(folder)/d/\(i)", Array("content \(i)".utf8)) }
            try test.directory.write("\(folder)/t", Array("one".utf8))
        }
        usleep(50_000)
        _ = try record("source", on: repository)
        for i in 0..<600 { try test.directory.write("elsewhere/d/\(i)", Array("other \(i)".utf8)) }
        _ = try record("elsewhere", on: other)
        for i in 0..<600 { try test.directory.write("elsewhere/d/\(i)", Array("content \(i)".utf8)) }
        let three = try record("elsewhere", on: other)
        try test.directory.write("source/t", Array("two".utf8))
        let failure = Mutex<String?>(nil)
        var options = CaptureOptions()
        options.filter = Interjection { [self] in
            do { try removeAndCollect(three.number, on: other) } catch { failure.withLock { $0 = "\(error)" } }
        }
        let four = try Commit(
            repository: repository, dataset: "x", source: test.directory.sub("source"), options: options
        ).run(by: test.signer).version
        #expect(failure.withLock { $0 } == nil)
        #expect(four.number == 4)
        // What the first attempt stored is kept for the second, which may not need all of it.
        try expectSound([four], unreferenced: 1)
    }

    /// Many committers on hosts of their own beside a collector that never waits.
    @Test func committersBesideACollector() throws {
        try fill("base", 1)
        _ = try commit()
        let hosts = try (0..<3).map { try test.reopened(cache: "host\($0)") }
        let failures = Mutex<[String]>([]), running = Atomic<Int>(hosts.count)
        Workers.run(hosts.count + 1) { worker in
            do {
                if worker == hosts.count {
                    while running.load(ordering: .relaxed) > 0 {
                        _ = try Collector(repository: repository, options: .init(grace: 0)).collect(by: test.signer)
                    }
                    return
                }
                defer { running.subtract(1, ordering: .relaxed) }
                var random = SeededGenerator(seed: UInt64(100 + worker))
                for round in 0..<6 {
                    let folder = "w\(worker)"
                    // Some content is everybody's, some comes back after it was removed.
                    var shared = SeededGenerator(seed: UInt64(round % 2))
                    for i in 0..<5 { try test.directory.write("\(folder)/shared\(i)", shared.bytes(5000)) }
                    try test.directory.write("\(folder)/own", random.bytes(20_000))
                    var commit = Commit(
                        repository: hosts[worker], dataset: "d\(worker)", source: test.directory.sub(folder),
                        options: CaptureOptions())
                    commit.options.threads = 1
                    let version = try commit.run(by: test.signer).version
                    if round % 2 == 0 {
                        _ = try Removal(
                            repository: hosts[worker], dataset: "d\(worker)", version: version.number, reason: "test"
                        ).run(by: test.signer)
                    }
                }
            } catch { failures.withLock { $0.append("\(worker): \(error)") } }
        }
        #expect(failures.withLock { $0 } == [])
        try collect()
        let state = try repository.state()
        let standing = (0..<3).flatMap { i in
            (state.datasets["d\(i)"]?.versions ?? RecordList()).filter {
                state.datasets["d\(i)"]?.removal(of: $0.number) == nil
            }
        }
        #expect(standing.count == 9)
        try expectSound(standing)
    }

    // MARK: Refusals

    @Test func nothingIsCondemnedWhenARootCannotBeRead() throws {
        try fill("a", 1)
        let one = try commit()
        try fill("b", 2)
        _ = try commit()
        try remove(2)
        let pack = try #require(try repository.packs(of: one.record, in: try repository.state()).sorted().first)
        let path = repository.backend.path(PackIndex.packKey(pack))
        let bytes = try #require(try Files.read(path))
        try Files.remove(path)
        let before = try repository.backend.list("")
        let error = #expect(throws: DFSError.self) { try collect() }
        #expect(error?.code == .corrupt && error?.hint == "dfs verify")
        #expect(try repository.backend.list("") == before)
        try TestFiles.write(path, bytes)
        try collect()
        try expectSound([one])
    }

    @Test func leasesKeepWhatIsShown() throws {
        try fill("a", 1)
        _ = try commit()
        try fill("b", 2)
        let two = try commit()
        let state = try repository.state()
        let lease = try #require(Lease.take(repository.backend, sequence: state.head.sequence, host: "here"))
        try drop("b")
        _ = try commit()
        try remove(2)
        let held = try collect()
        #expect(held.condemnedPacks == 0 && held.plan.leases.map(\.holder) == ["here (pid \(getpid()))"])
        try repository.reader.walk(test.root(two)) { _, entry throws(DFSError) in
            if entry.kind == .file { _ = try repository.objects.chunk(ChunkID(entry.content.digest)) }
        }
        // Nobody has touched it for more than a day.
        let key = try #require(try repository.backend.list("leases/").first)
        var times = [
            timespec(tv_sec: time(nil) - 90_000, tv_nsec: 0), timespec(tv_sec: time(nil) - 90_000, tv_nsec: 0),
        ]
        #expect(utimensat(AT_FDCWD, repository.backend.path(key), &times, 0) == 0)
        let plan = try Collector(repository: repository, options: .init(grace: 0)).plan()
        #expect(!plan.dead.isEmpty && plan.leases.isEmpty)
        lease.end()
        #expect(try repository.backend.list("leases/").isEmpty)
        #expect(try collect().deletedPacks > 0)
        try expectSound()
    }
}

/// Signs, but lets something else happen before its first signature in an entry that records or condemns.
private final class StoppingSigner: Signer {
    private let signer: any Signer
    let action = Mutex<(@Sendable () throws -> Void)?>(nil)

    init(_ signer: any Signer) { self.signer = signer }

    var publicKey: PublicKey { signer.publicKey }

    func sign(_ message: [UInt8]) throws(DFSError) -> [UInt8] {
        let action = action.withLock { action in
            defer { action = nil }
            return action
        }
        do { try action?() } catch { Issue.record("\(error)") }
        return try signer.sign(message)
    }
}

extension [UInt8] {
    fileprivate func repeated(_ count: Int) -> [UInt8] { (0..<count).flatMap { _ in self } }
}
