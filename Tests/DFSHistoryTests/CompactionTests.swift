import DFSHistory
import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem
import DFSTestSupport
import Testing

/// Packs of which much is dead become smaller, and what is left can be read as well as before.
@Suite struct CompactionTests {
    private let test: TestRepository
    private var repository: Repository { test.repository }

    init() throws {
        var parameters = StoreParameters.standard
        parameters.singleFile = 1 << 20
        parameters.packTarget = 1 << 20
        test = try TestRepository(parameters: parameters)
    }

    private func commit() throws -> VersionRecord {
        var commit = Commit(
            repository: repository, dataset: "x", source: test.directory.sub("source"), options: CaptureOptions())
        commit.allowShrink = true
        return try commit.run(by: test.signer).version
    }

    private func removeFirst() throws {
        _ = try Removal(repository: repository, dataset: "x", version: 1, reason: "no longer needed").run(
            by: test.signer)
    }

    private func collector(compactBelow: Int = 50) -> Collector {
        Collector(repository: repository, options: .init(grace: 0, compactBelow: compactBelow))
    }

    private func packBytes() throws -> UInt64 {
        try repository.backend.list("packs/").reduce(0) { $0 + (try repository.backend.length(of: $1) ?? 0) }
    }

    private func recipe(_ path: String, _ version: VersionRecord) throws -> Recipe {
        let entry = try #require(
            try repository.reader.entries(of: version.tree.tree).first { $0.name == Array(path.utf8) })
        return try repository.objects.recipe(try #require(entry.address))
    }

    /// Every file of a version has these bytes, for hosts that know much and nothing.
    private func expect(_ files: [String: [UInt8]], _ version: VersionRecord, _ hosts: [Repository]) throws {
        for host in hosts {
            #expect(try host.state().rejected.isEmpty)
            let report = try Checker(repository: host).run(data: true, files: true)
            #expect(report.problems == [] && report.unreferenced == 0)
            for entry in try host.reader.entries(of: version.tree.tree) {
                let expected = try #require(files[String(decoding: entry.name, as: UTF8.self)])
                #expect(try host.reader.bytes(of: entry) == expected)
            }
        }
    }

    @Test func whatIsLeftOfASingleFilePackIsShared() throws {
        var random = SeededGenerator(seed: 1)
        let large = random.bytes(12 << 20)
        try test.directory.write("source/large", large)
        let one = try commit()
        let first = try #require(try repository.objects.find(try recipe("large", one).chunks[0].id.digest))
        #expect(try repository.objects.readIndex(first.pack).kind == .singleFile)
        let old = try test.reopened(cache: "old")
        _ = try old.state()
        // The beginning is longer than a shared pack is made; the rest begins at another place than before.
        let files = ["large": Array(large[..<2_500_000]), "middle": Array(large[7_000_001..<7_600_000])]
        for (name, bytes) in files { try test.directory.write("source/\(name)", bytes) }
        let two = try commit()
        try removeFirst()
        let plan = try collector().plan()
        #expect(plan.compacted.contains { $0.pack == first.pack })
        let outcome = try collector().collect(by: test.signer)
        #expect(outcome.written > 1 && outcome.deletedPacks > 0)
        #expect(try packBytes() < 3_500_000)
        #expect(try repository.backend.length(of: PackIndex.packKey(first.pack)) == nil)
        _ = try old.state()
        try expect(files, two, [repository, old, try test.reopened(cache: "fresh")])
        // Mapped as before: at the same places modulo 4,096, and next to each other.
        let kept = try recipe("large", two)
        var breaks = 0
        var before: (pack: PackID, end: UInt64)?
        for (chunk, start) in zip(kept.chunks, kept.starts) {
            let place = try #require(try repository.objects.find(chunk.id.digest))
            #expect(place.item.offset % 4096 == start % 4096 && place.item.codec == .raw)
            if let before, before != (place.pack, place.item.offset) { breaks += 1 }
            before = (place.pack, place.item.offset + UInt64(chunk.length))
        }
        // Two where a pack was full, one before the last chunk, which was cut anew.
        #expect(breaks == 3 && kept.chunks.count > 12)
        let again = try collector().plan()
        #expect(again.isEmpty && again.waiting.isEmpty)
    }

    /// A large file that is needed whole is not taken apart, even where most of it is the same chunk many times.
    @Test func aFileOfItsOwnStaysOne() throws {
        var random = SeededGenerator(seed: 2)
        let unit = random.bytes(300_000)
        try test.directory.write("source/large", (0..<12).flatMap { _ in unit })
        try test.directory.write("source/dead", random.bytes(200_000))
        _ = try commit()
        try Files.remove(test.directory.sub("source/dead"))
        let two = try commit()
        try removeFirst()
        let outcome = try collector(compactBelow: 100).collect(by: test.signer)
        #expect(outcome.deletedPacks > 0)
        let kept = try recipe("large", two)
        #expect(Set(kept.chunks.map(\.id)).count < kept.chunks.count / 2)
        #expect(try repository.objects.singleFile(of: kept) != nil)
    }

    /// Extents take more room than their bytes; to rewrite that again and again would free nothing.
    @Test func compactionComesToAnEnd() throws {
        var random = SeededGenerator(seed: 3)
        var files = [String: [UInt8]]()
        for i in 0..<60 {
            let bytes = random.bytes(4500 + i * 10)
            try test.directory.write("source/\(i)", bytes)
            if i % 3 > 0 { files["\(i)"] = bytes }
        }
        _ = try commit()
        for i in stride(from: 0, to: 60, by: 3) { try Files.remove(test.directory.sub("source/\(i)")) }
        let two = try commit()
        try removeFirst()
        let outcome = try collector(compactBelow: 100).collect(by: test.signer)
        #expect(outcome.written > 0)
        let again = try collector(compactBelow: 100).plan()
        #expect(again.isEmpty && again.reclaimable == 0)
        #expect(try collector(compactBelow: 100).collect(by: test.signer).condemned == nil)
        try expect(files, two, [repository, try test.reopened(cache: "fresh")])
    }
}
