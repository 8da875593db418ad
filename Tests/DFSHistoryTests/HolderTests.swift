import DFSChunking
import DFSHistory
import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem
import DFSTestSupport
import Testing

/// `dfs why` names what `dfs gc` keeps, and nothing else.
@Suite struct HolderTests {
    private let test: TestRepository
    private var repository: Repository { test.repository }

    init() throws { test = try TestRepository() }

    private func holders(_ digest: Digest) throws -> [Holders.Holder] {
        var holders = Holders(repository: repository, state: try repository.state(), wanted: [digest])
        return try holders.find()
    }

    private func commit() throws -> VersionRecord {
        var commit = Commit(
            repository: repository, dataset: "x", source: test.directory.sub("source"), options: CaptureOptions())
        commit.allowShrink = true
        return try commit.run(by: test.signer).version
    }

    /// A run with host records, and tags with texts; what each object is called.
    private func record(_ version: VersionRecord) throws -> [Digest: Set<String>] {
        let id = RunID(.make())
        let writer = StoreWriter(store: repository.objects)
        var objects = [Digest: Set<String>](), host = [String: JSONValue]()
        for part in ["stable", "job", "volatile"] {
            let digest = try writer.put(["format": .string("dfs.host/1"), "part": .string(part)]).digest
            host[part] = .string(digest.text)
            objects[digest, default: []].insert("the host record (\(part)) of run:\(id)")
        }
        let code = try writer.putHere(["format": "dfs.code/1"])
        let plan = try writer.putHere(["format": "dfs.run/1", "host": .object(host)])
        let texts = try ["of the version", "of the run"].map { (text) throws(DFSError) in
            try writer.putHere(TextObject(fields: ["message": .string(text)]).encoded)
        }
        let finished = try writer.finish(base: nil)
        func reference(_ record: ObjectAddress) -> RecordReference {
            RecordReference(record: record, packs: finished.packs, pack: finished.pack)
        }
        let entry = try repository.append(by: test.signer) { _ in
            [
                .codeCaptured(.init(project: "p", snapshot: "s1", tree: version.tree, record: reference(code))),
                .runStarted(.init(run: id, project: "p", snapshot: "s1", data: [], record: reference(plan))),
                .tagSet(
                    .init(
                        tag: "good", target: .version(dataset: "x", number: version.number), moved: false,
                        text: texts[0])), .tagSet(.init(tag: "best", target: .run(id), moved: false, text: texts[1])),
            ]
        }
        objects[plan.digest, default: []].insert("the record of run:\(id)")
        objects[texts[0].digest, default: []].insert("the tag good of x")
        objects[texts[1].digest, default: []].insert("the tag best of run:\(id)")
        objects[finished.packs.digest, default: []].insert("the pack set of entry \(try #require(entry).sequence)")
        return objects
    }

    @Test func whatIsKeptHasAHolder() throws {
        var random = SeededGenerator(seed: 1)
        try test.directory.write("source/dead", random.bytes(9000))
        let shown = random.bytes(9000)
        try test.directory.write("source/shown", shown)
        let one = try commit()
        try Files.remove(test.directory.sub("source/dead"))
        let two = try commit()
        try Files.remove(test.directory.sub("source/shown"))
        try test.directory.write("source/kept", random.bytes(9000))
        var objects = try record(try commit())
        for version in [1, 2] {
            _ = try Removal(repository: repository, dataset: "x", version: version, reason: "test").run(by: test.signer)
            let removal = try #require(try repository.state().datasets["x"]?.removal(of: version))
            objects[removal.text.digest, default: []].insert("the removal of x@v\(version)")
            // The removal's own pack set, and the ones of what was removed.
            for set in try repository.state().packSets where set.sequence == removal.sequence {
                objects[set.packs.digest, default: []].insert("the pack set of entry \(set.sequence)")
            }
        }
        objects[one.record.record.digest, default: []].insert("the record of x@v1")
        objects[one.record.packs.digest, default: []].insert("the pack set of entry \(one.sequence)")
        // Three sets are equal: they add nothing.
        #expect(objects.count == 11 && objects.values.joined().count == 13)
        // As of the second version: the first is not shown.
        let file = Digest.of(shown)
        let lease = try #require(Lease.take(repository.backend, sequence: two.sequence, host: "here"))
        let holder = try #require(try holders(file).first { $0.what.hasPrefix("x@v2, shown by here") })
        #expect(holder.paths == ["shown"])
        let collector = Collector(repository: repository, options: .init(grace: 0, compactBelow: 100))
        try #require(try collector.collect(by: test.signer).deletedPacks > 0)
        #expect(try repository.objects.chunk(ChunkID(file)) == shown)
        for (digest, what) in objects {
            #expect(try Set(holders(digest).map(\.what)) == what)
            #expect(try !repository.objects.object(ObjectAddress(digest)).isEmpty)
        }
        lease.end()
        #expect(try holders(file).isEmpty)
        _ = try collector.collect(by: test.signer)
        #expect(try repository.objects.find(file) == nil)
    }
}
