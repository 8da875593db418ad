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

/// What a commit acknowledged is in the store, whatever went wrong on the way.
@Suite struct IntegrityTests {
    private func problems(_ repository: Repository) throws -> [Checker.Problem] {
        try Checker(repository: repository).run(data: true, files: true).problems
    }

    private func packFiles(_ test: TestRepository) throws -> Int {
        try test.repository.backend.list("packs/").count
    }

    // MARK: Files that change

    /// A file of a pack of its own turns out shorter than it was said to be: what was taken back must be stored again.
    @Test func aFileThatShrinksIsStoredWhole() throws {
        let test = try TestRepository()
        var random = SeededGenerator(seed: 11)
        let content = random.bytes(40 << 20)
        try test.directory.write("file", content)
        let writer = StoreWriter(store: test.repository.objects)
        let lane = writer.lane()
        let file = try OwnedDescriptor.open(test.directory.sub("file"), O_RDONLY)
        let error = #expect(throws: DFSError.self) {
            try lane.store(file, size: UInt64(content.count) + 4096) { "the file" }
        }
        #expect(error?.code == .refused && error?.what.contains("the file changed") == true)
        // The second time it is below the limit, so that chunks go elsewhere.
        #expect(truncate(test.directory.sub("file"), 20 << 20) == 0)
        let stored = try lane.store(file, size: 20 << 20) { "the file" }
        try lane.finish()
        let finished = try writer.finish(base: nil)
        let recipe = try Recipe.decode(try object(try #require(stored.recipe).digest, finished, test))
        for chunk in recipe.chunks {
            #expect(finished.tables.contains { $0.find(chunk.id.digest) != nil }, "\(chunk.id) was not stored")
        }
    }

    private func object(
        _ digest: Digest, _ finished: StoreWriter.Finished, _ test: TestRepository
    ) throws -> [UInt8] {
        for table in finished.tables {
            if let item = table.find(digest) { return try test.repository.objects.read(item, of: table.id) }
        }
        throw DFSError(.corrupt, "\(digest.text) is in no pack")
    }

    // MARK: Failed and useless commits

    @Test func aRefusedCommitLeavesNothing() throws {
        let test = try TestRepository()
        var random = SeededGenerator(seed: 12)
        for i in 0..<20 { try test.directory.write("source/\(i)", random.bytes(20_000)) }
        #expect(mkfifo(test.directory.sub("source/pipe"), 0o644) == 0)
        #expect(throws: DFSError.self) { try test.commit("x", test.directory.sub("source")) }
        #expect(try packFiles(test) == 0)
        let writer = StoreWriter(store: test.repository.objects)
        let capture = Capture(
            root: test.directory.sub("source"), writer: writer, reader: test.repository.reader, cache: nil,
            previous: nil, options: CaptureOptions())
        #expect(throws: DFSError.self) { try capture.run() }
        // Its claims are void, so it must not be used again.
        #expect(throws: DFSError.self) { try writer.put([1, 2, 3]) }
        var options = CaptureOptions()
        options.skipSpecial = true
        #expect(try test.commit("x", test.directory.sub("source"), options: options).isNew)
        // Unchanged content on a host that knows nothing stores nothing that stays.
        let before = try packFiles(test)
        try Files.removeTree(test.directory.sub("cache"))
        let other = try test.reopened(cache: "cache2")
        #expect(
            try !Commit(
                repository: other, dataset: "x", source: test.directory.sub("source"), options: options
            ).run(by: test.signer).isNew)
        #expect(try packFiles(test) == before)
    }

    @Test func equalCommitsAtOnceKeepTheirTags() throws {
        let test = try TestRepository()
        var random = SeededGenerator(seed: 13)
        for i in 0..<50 { try test.directory.write("source/\(i)", random.bytes(5000)) }
        let hosts = try (0..<4).map { try test.reopened(cache: "host\($0)") }
        let news = Counter(), failures = Mutex<[String]>([])
        Workers.run(hosts.count) { i in
            do {
                var commit = Commit(
                    repository: hosts[i], dataset: "x", source: test.directory.sub("source"), options: CaptureOptions())
                commit.tag = "t\(i)"
                if try commit.run(by: test.signer).isNew { news.increment() }
            } catch { failures.withLock { $0.append("\(error)") } }
        }
        #expect(failures.withLock { $0 } == [] && news.current == 1)
        let state = try test.repository.state()
        #expect(state.datasets["x"]?.versions.count == 1)
        #expect(state.datasets["x"]?.tags.count == 4)
        let report = try Checker(repository: test.repository).run(data: true)
        #expect(report.problems == [] && report.unreferenced == 0)
    }

    // MARK: Coverage

    @Test func rowsOfTheStatCacheRestOnSetsThatTheNextVersionExtends() throws {
        let test = try TestRepository()
        var random = SeededGenerator(seed: 14)
        for name in ["a", "b"] {
            for i in 0..<10 { try test.directory.write("\(name)/\(i)", random.bytes(5000)) }
        }
        let (a, b) = (test.directory.sub("a"), test.directory.sub("b"))
        let first = try test.commit("A", a).version
        try test.commit("B", b)
        // B's latest is now a tree whose packs are A's; the rows of b rest on B's first set.
        let source = StoredSource(entry: test.root(first), record: first.record, reference: "A@v1")
        let commit = Commit(repository: test.repository, dataset: "B", source: "A@v1", options: CaptureOptions())
        #expect(try commit.record(tree: source, by: test.signer).isNew)
        try test.directory.write("b/more", random.bytes(100))
        // Files as young as this are not remembered.
        usleep(50_000)
        #expect(try test.commit("B", b).isNew)
        #expect(try problems(test.repository) == [])
        // Once they rest on what is extended, they are used.
        try test.directory.write("b/again", random.bytes(100))
        #expect(try test.commit("B", b).filesRead <= 2)
        #expect(try problems(test.repository) == [])
    }

    @Test func aSetThatLacksAPackIsFound() throws {
        let test = try TestRepository()
        try test.directory.write("a/file", "content")
        let version = try test.commit("A", test.directory.sub("a")).version
        let writer = StoreWriter(store: test.repository.objects)
        let record = try writer.putHere(["format": "dfs.commit/1"])
        let finished = try writer.finish(base: nil)
        try test.repository.append(by: test.signer) { _ in
            [
                .datasetCommitted(
                    .init(
                        dataset: "B", version: 1, tree: version.tree,
                        record: RecordReference(record: record, packs: finished.packs, pack: finished.pack),
                        text: nil))
            ]
        }
        let found = try problems(try test.reopened(cache: "other"))
        #expect(found.count == 1 && found[0].what.contains("in no pack that its entry names"), "\(found)")
        #expect(found.first?.affects == ["B@v1"])
    }

    // MARK: Other histories

    /// A copy of the store went on; then the copy was put back. What the index knows of the other history is not here.
    @Test func aStorePutBackIsAnotherHistory() throws {
        let test = try TestRepository()
        let source = test.directory.sub("source")
        var random = SeededGenerator(seed: 15)
        try test.directory.write("source/one", random.bytes(300_000))
        try test.commit("x", source)
        #expect(system("cp -a \(test.storePath) \(test.storePath)-copy") == 0)
        try test.directory.write("source/two", random.bytes(300_000))
        try test.commit("x", source)
        #expect(system("rm -r \(test.storePath); mv \(test.storePath)-copy \(test.storePath)") == 0)
        let again = try test.reopened(cache: "cache")
        let outcome = try Commit(
            repository: again, dataset: "x", source: source, options: CaptureOptions()
        ).run(by: test.signer)
        #expect(outcome.isNew && outcome.version.number == 2)
        #expect(try problems(again) == [])
        #expect(try problems(try test.reopened(cache: "fresh")) == [])
    }

    // MARK: Damage

    @Test func damageElsewhereDoesNotStandInTheWay() throws {
        let test = try TestRepository()
        var random = SeededGenerator(seed: 16)
        try test.directory.write("a/file", random.bytes(50_000))
        try test.directory.write("b/file", random.bytes(50_000))
        let a = try test.commit("A", test.directory.sub("a")).version
        let b = try test.commit("B", test.directory.sub("b")).version
        let damaged = test.storePath + "/" + PackIndex.indexKey(a.record.pack)
        var bytes = try #require(try Files.read(damaged))
        bytes[70] ^= 1
        chmod(damaged, 0o644)
        try TestFiles.write(damaged, bytes)
        let host = try test.reopened(cache: "fresh")
        #expect(try host.state().datasets.count == 2)
        let entry = try host.reader.entry(at: [Array("file".utf8)], below: test.root(b))
        #expect(try host.reader.bytes(of: try #require(entry)).count == 50_000)
        try test.directory.write("b/more", "more")
        #expect(
            try Commit(
                repository: host, dataset: "B", source: test.directory.sub("b"), options: CaptureOptions()
            ).run(by: test.signer).isNew)
        #expect(try !problems(host).isEmpty)
    }

    /// What could not be taken in is looked at again, without another entry, and only that.
    @Test func whatIsRepairedIsLearned() throws {
        let test = try TestRepository()
        var random = SeededGenerator(seed: 18)
        var versions = [VersionRecord]()
        for i in 0..<4 {
            try test.directory.write("a/\(i)", random.bytes(20_000))
            versions.append(try test.commit("A", test.directory.sub("a")).version)
        }
        let table = test.storePath + "/" + PackIndex.indexKey(versions[1].record.pack)
        let whole = try #require(try Files.read(table))
        chmod(table, 0o644)
        try TestFiles.write(table, whole.dropLast() + [1])
        let host = try test.reopened(cache: "fresh")
        #expect(try host.state().datasets["A"]?.versions.count == 4)
        #expect(try !host.objects.knows(versions[1].record.pack) && host.objects.knows(versions[3].record.pack))
        try TestFiles.write(table, whole)
        let later = try test.reopened(cache: "fresh")
        _ = try later.state()
        #expect(try later.objects.knows(versions[1].record.pack))
        #expect(try problems(later) == [])
    }

    /// A host that was interrupted while it took in a history goes on, and knows all of it in the end.
    @Test func interruptedLearningGoesOn() throws {
        let test = try TestRepository()
        var random = SeededGenerator(seed: 19)
        var versions = [VersionRecord]()
        for i in 0..<6 {
            try test.directory.write("a/\(i)", random.bytes(20_000))
            versions.append(try test.commit("A", test.directory.sub("a")).version)
        }
        // A table that cannot be read now is no damage: nothing is passed over for it.
        let table = test.storePath + "/" + PackIndex.indexKey(versions[4].record.pack)
        #expect(system("mv \(table) \(table)-away && ln -s \(table) \(table)") == 0)
        let host = try test.reopened(cache: "fresh")
        #expect(throws: DFSError.self) { try host.state() }
        #expect(system("rm \(table) && mv \(table)-away \(table)") == 0)
        #expect(try host.state().datasets["A"]?.versions.count == 6)
        for version in versions {
            #expect(try host.objects.knows(version.record.pack))
            #expect(try host.text(version.text)["source"]?.string == test.directory.sub("a"))
        }
        #expect(try problems(try test.reopened(cache: "fresh")) == [])
    }

    /// Two processes of one host, one of which was faster: what the index knows already is no other history.
    @Test func anIndexThatIsAheadIsKept() throws {
        let test = try TestRepository()
        try test.directory.write("a/file", "content")
        let first = try test.commit("A", test.directory.sub("a")).version
        let behind = test.repository.ledger.state
        let learning = Learning(
            index: test.repository.index, objects: test.repository.objects, ledger: test.repository.ledger, saved: nil)
        try test.directory.write("a/more", "more")
        let second = try test.commit("A", test.directory.sub("a")).version
        try learning.take(behind)
        #expect(try test.repository.objects.knows(first.record.pack))
        #expect(try test.repository.objects.knows(second.record.pack))
        #expect(try Learning.savedState(test.repository.index)?.head == test.repository.state().head)
    }

    /// The same chunk in two packs, one of them damaged: either serves.
    @Test func anyPackServes() throws {
        let test = try TestRepository()
        var random = SeededGenerator(seed: 17)
        try test.directory.write("a/file", random.bytes(50_000))
        let hosts = [test.repository, try test.reopened(cache: "other")]
        // The second host does not know the first's packs when it writes: it opens the ledger before.
        let writer = StoreWriter(store: hosts[1].objects)
        let lane = writer.lane()
        let file = try OwnedDescriptor.open(test.directory.sub("a/file"), O_RDONLY)
        let stored = try lane.store(file, size: 50_000) { "the file" }
        let first = try test.commit("A", test.directory.sub("a")).version
        try lane.finish()
        let record = try writer.putHere(["format": "dfs.commit/1"])
        let entry = TreeEntry(
            name: Array("file".utf8), kind: .file, mode: 0o644, modified: Clock.now(), size: 50_000,
            content: stored.content)
        let tree = try TreeBuilder.build([entry]) { node throws(DFSError) in try writer.put(node.bytes) }
        let finished = try writer.finish(base: nil)
        try hosts[1].append(by: test.signer) { _ in
            [
                .datasetCommitted(
                    .init(
                        dataset: "B", version: 1,
                        tree: TreeReference(
                            content: ContentDigest.ofDirectory([entry]), tree: tree, files: 1, bytes: 50_000),
                        record: RecordReference(record: record, packs: finished.packs, pack: finished.pack),
                        text: nil))
            ]
        }
        let whole = try test.repository.backend.list("packs/").filter { $0.hasSuffix(".pack") }
        #expect(whole.count > 3)
        for key in whole {
            let path = test.storePath + "/" + key
            let bytes = try #require(try Files.read(path))
            guard bytes.count > 40_000 else { continue }
            chmod(path, 0o644)
            try TestFiles.write(path, bytes.map { ~$0 })
            let host = try test.reopened(cache: "reader" + Randomness.hex(bytes: 4))
            _ = try host.state()
            let found = try host.reader.entry(at: [Array("file".utf8)], below: test.root(first))
            #expect(try host.reader.bytes(of: try #require(found)).count == 50_000, "\(key)")
            try TestFiles.write(path, bytes)
        }
    }

    // MARK: Limits

    @Test func anyDateAndAnyChunkSize() throws {
        let parameters = StoreParameters(
            chunk: .init(minimum: 1 << 18, average: 1 << 19, maximum: 1 << 20),
            largeChunk: .init(minimum: 1 << 18, average: 1 << 19, maximum: 1 << 20), largeFrom: 1 << 30,
            packTarget: 4 << 20, singleFile: 32 << 20, zstdLevel: 3, zstdSaves: 30)
        let test = try TestRepository(parameters: parameters)
        var random = SeededGenerator(seed: 18)
        for i in 0..<6 { try test.directory.write("source/\(i)", random.bytes(900_000)) }
        #expect(system("touch -d 2400-01-01 \(test.directory.sub("source/1"))") == 0)
        #expect(system("touch -d 1900-01-01 \(test.directory.sub("source/2"))") == 0)
        try test.commit("x", test.directory.sub("source"))
        #expect(try problems(test.repository) == [])
    }

    @Test func moreDirectoriesThanDescriptors() throws {
        let test = try TestRepository()
        for i in 0..<400 { try test.directory.write("source/d\(i)/file", "\(i)") }
        let version = try test.commit("x", test.directory.sub("source")).version
        var before = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before)
        var few = before
        few.rlim_cur = 200
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &few)
        defer { setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before) }
        try Export(reader: test.repository.reader).run(test.root(version), to: test.directory.sub("copy"))
        #expect(try DirectoryListing.names(of: test.directory.sub("copy")).count == 400)
    }

    @Test func foldersOfASharedStoreAreShared() throws {
        let test = try TestRepository()
        for folder in ["packs", "ledger", "tmp"] { chmod(test.storePath + "/" + folder, 0o2775) }
        let before = umask(0o077)
        defer { umask(before) }
        try test.directory.write("source/file", "content")
        try test.commit("x", test.directory.sub("source"))
        for name in try DirectoryListing.names(of: test.storePath + "/packs") {
            let path = test.storePath + "/packs/" + NameText.encode(name)
            #expect(try FileStatus.of(path: path)?.mode == 0o2775)
            for file in try DirectoryListing.names(of: path) {
                #expect(try FileStatus.of(path: path + "/" + NameText.encode(file))?.mode == 0o444)
            }
        }
    }

    @Test func strayNamesDoNotTrapTheVerifier() throws {
        let test = try TestRepository()
        try TestFiles.write(test.storePath + "/ledger/18446744073709551/18446744073709551615.json", [1])
        #expect(symlink(".", test.storePath + "/ledger/loop") == 0)
        let found = try problems(test.repository)
        #expect(found.count == 2 && found.allSatisfy { $0.what.hasSuffix("is no ledger entry") }, "\(found)")
    }
}
