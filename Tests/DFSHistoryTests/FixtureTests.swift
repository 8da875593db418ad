import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import Testing

/// Stores that earlier builds made. Every later build must read them.
@Suite struct FixtureTests {
    private func open(_ name: String) throws -> (Repository, TemporaryDirectory) {
        let fixtures = Files.parent(Files.parent(#filePath)) + "/Fixtures/"
        let cache = try TemporaryDirectory()
        return (try Repository.open(at: fixtures + name, cacheRoot: cache.path), cache)
    }

    @Test func storeOfFormat1() throws {
        let (repository, cache) = try open("store-v1")
        let state = try repository.state()
        let dataset = try #require(state.datasets["x"])
        #expect(dataset.versions.count == 2)
        #expect(dataset.version(tag: "one")?.number == 1)
        #expect(try Checker(repository: repository).run(data: true, files: true).problems == [])
        func text(_ path: String, _ version: Int) throws -> String? {
            let record = try #require(dataset.version(version))
            let names = path.split(separator: "/").map { Array($0.utf8) }
            let entry = try repository.reader.entry(at: names, below: .root(record.tree, modified: record.time))
            return try entry.map { String(decoding: try repository.reader.bytes(of: $0), as: UTF8.self) }
        }
        #expect(try text("hello.txt", 1) == "hello\n")
        #expect(try text("hello.txt", 2) == "changed\n")
        #expect(try text("sub/deep", 2) == "deep\n")
        #expect(try text("empty", 1) == "" && text("empty", 2) == nil)
        #expect(try text("text", 1) == (1...20_000).map { "\($0)\n" }.joined())
        let run = try #require(state.runs.first)
        #expect(run.outcome == .succeeded && run.data.first?.key == "x")
        let work = try #require(run.end?.work)
        let model = try #require(
            try repository.reader.entry(at: [Array("model".utf8)], below: .root(work, modified: run.time)))
        #expect(try repository.reader.bytes(of: model) == Array("hello\nhello\nhello\n".utf8))
        withExtendedLifetime(cache) {}
    }
}
