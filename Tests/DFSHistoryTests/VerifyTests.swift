import DFSChunking
import DFSHistory
import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

/// What a check says of damage: where it is, and everything that needs it.
@Suite struct VerifyTests {
    private let test: TestRepository

    init() throws { test = try TestRepository() }

    private func commit(_ name: String = "d") throws -> VersionRecord {
        try test.commit(name, test.directory.sub("s")).version
    }

    private func check(data: Bool = true) throws -> [Checker.Problem] {
        try Checker(repository: test.repository).run(data: data).problems
    }

    private func path(_ key: String) -> String { test.storePath + "/" + key }

    private func flip(_ key: String, at offset: Int) throws {
        var bytes = try #require(try Files.read(path(key)))
        bytes[offset] ^= 0x10
        chmod(path(key), 0o644)
        try TestFiles.write(path(key), bytes)
    }

    private func place(of content: [UInt8]) throws -> (pack: PackID, item: PackItem) {
        try #require(try test.repository.objects.find(Digest.of(content)))
    }

    @Test func damageIsNamedInEveryVersionThatSharesIt() throws {
        var random = SeededGenerator(seed: 21)
        let content = random.bytes(5000)
        try test.directory.write("s/deep/er/shared", content)
        for number in 1...3 {
            try test.directory.write("s/own", "\(number)")
            try test.directory.write("s/deep/own", "\(number)")
            _ = try commit()
        }
        _ = try commit("other")
        let place = try place(of: content)
        try flip(PackIndex.packKey(place.pack), at: Int(place.item.offset) + 17)
        #expect(try check(data: false) == [])
        let found = try check()
        #expect(found.count == 1 && found[0].what.contains("1 of ") && found[0].more == 0, "\(found)")
        #expect(
            found.first?.affects == ["d@v1", "d@v2", "d@v3", "other@v1"].map { $0 + "/deep/er/shared" }, "\(found)")
    }

    @Test func manyPathsAreCounted() throws {
        var random = SeededGenerator(seed: 22)
        for i in 10..<60 { try test.directory.write("s/f\(i)", random.bytes(3000)) }
        let version = try commit()
        let root = test.root(version)
        let entry = try #require(try test.repository.reader.entry(at: [Array("f10".utf8)], below: root))
        let place = try #require(try test.repository.objects.find(entry.content.digest))
        try Files.remove(path(PackIndex.packKey(place.pack)))
        let missing = try check(data: false)
        #expect(missing.count == 1 && missing[0].what.hasSuffix("is missing"), "\(missing)")
        #expect(missing[0].affects.count == 20 && missing[0].affects.count + missing[0].more <= 50)
        #expect(missing[0].affects[0] == "d@v1/f10" && missing[0].more > 0)
        // Without its table nobody knows what it held: one finding, not one for each object.
        try Files.remove(path(PackIndex.indexKey(place.pack)))
        let nowhere = try check(data: false)
        #expect(nowhere.count == 2 && nowhere[0].what.contains(".idx is missing"), "\(nowhere)")
        #expect(nowhere[1].what.contains("objects in no pack, such as") && nowhere[1].more == missing[0].more)
    }

    @Test func damagedMetadataNamesWhatNeedsIt() throws {
        try test.directory.write("s/a/file", "content")
        let first = try commit()
        try test.directory.write("s/b/file", "other")
        _ = try commit()
        let key = PackIndex.packKey(first.record.pack)
        #expect(truncate(path(key), 10) == 0)
        let found = try check(data: false)
        let affected = Set(found.flatMap(\.affects))
        // The record, text and set of v1, and the node of a/, which v2 shares.
        #expect(affected.isSuperset(of: ["d@v1", "d@v1 (its record)", "d@v2/a"]), "\(found)")
        #expect(found.contains { $0.what.contains("its table says") })
        #expect(found.contains { $0.what.contains("its text") && $0.affects == ["d@v1"] })
    }

    /// Ranges and windows of a pack end where they may: gaps, items longer than a window, an end that is not the pack's.
    @Test func everyByteOfLargePacksIsChecked() throws {
        var random = SeededGenerator(seed: 23)
        try test.directory.write("s/large", random.bytes(70 << 20))
        for i in 0..<40 { try test.directory.write("s/f\(i)", random.bytes(5000 + i)) }
        _ = try commit()
        #expect(try check() == [])
        let packs = try test.repository.backend.list("packs/").filter { $0.hasSuffix(".pack") }
        for key in packs {
            let size = Int(try #require(try FileStatus.of(path: path(key))).size)
            for offset in Set([0, size / 2, size - 1, min(size - 1, 33 << 20)]) {
                try flip(key, at: offset)
                let found = try check()
                #expect(found.contains { $0.what.hasPrefix(key) }, "\(key) byte \(offset) of \(size): \(found)")
                try flip(key, at: offset)
            }
        }
        #expect(try check() == [])
    }

    /// Sets that follow each other, that branch, and that begin anew.
    @Test func coverageFollowsSets() throws {
        for number in 1...12 {
            try test.directory.write("s/d\(number % 3)/f\(number)", "\(number)")
            _ = try commit()
        }
        let middle = try #require(try test.repository.state().datasets["d"]?.version(6))
        for name in ["x", "y"] {
            let source = StoredSource(entry: test.root(middle), record: middle.record, reference: "d@v6")
            let commit = Commit(repository: test.repository, dataset: name, source: "d@v6", options: CaptureOptions())
            #expect(try commit.record(tree: source, by: test.signer).isNew)
        }
        #expect(try check() == [])
    }
}
