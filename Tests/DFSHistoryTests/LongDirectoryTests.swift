import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

/// Directories that are captured, cached and stored in parts.
@Suite struct LongDirectoryTests {
    private static let count = 20_000

    private let test: TestRepository
    private let source: String

    init() throws {
        test = try TestRepository()
        source = test.directory.sub("source")
        try Files.makeDirectories(source)
        for i in 0..<Self.count { try write(Self.name(i), "\(i)") }
        // What was written within the clock's granularity is read again by the next commit.
        usleep(50_000)
    }

    private static func name(_ i: Int) -> String { "file-\(i * 7919 % 1_000_003)" }

    private func write(_ name: String, _ text: String) throws {
        try TestFiles.write(name: Array(name.utf8), in: source, Array(text.utf8))
    }

    /// Checks a version against the format: its tree is what the whole list of its entries makes.
    private func check(_ version: VersionRecord, _ expected: [String: String]) throws {
        let root = test.root(version)
        let entries = try test.repository.reader.entries(of: try #require(root.address))
        #expect(entries.map { String(decoding: $0.name, as: UTF8.self) } == expected.keys.sorted())
        #expect(version.content == ContentDigest.ofDirectory(entries))
        let writer = StoreWriter(store: test.repository.objects)
        let whole = try TreeBuilder.build(entries) { node throws(DFSError) in try writer.put(node.bytes) }
        #expect(whole == version.tree.tree)
        #expect(version.tree.files == UInt64(expected.count))
        for (name, text) in expected.shuffled().prefix(50) {
            let entry = try #require(try test.repository.reader.entry(at: [Array(name.utf8)], below: root))
            #expect(try test.repository.reader.bytes(of: entry) == Array(text.utf8))
        }
    }

    private var everything: [String: String] {
        Dictionary(uniqueKeysWithValues: (0..<Self.count).map { (Self.name($0), "\($0)") })
    }

    /// A name after which a part ends.
    private var boundary: String {
        get throws {
            try #require(everything.keys.first { NameHash.of(Array($0.utf8)) & 4095 == 4095 })
        }
    }

    @Test func changesCostWhatTheyChange() throws {
        var expected = everything
        let first = try test.commit("long", source)
        try check(first.version, expected)
        let again = try test.commit("long", source)
        #expect(!again.isNew && again.filesRead == 0)

        // A name that ends a part goes: its neighbours join.
        let boundary = try boundary
        try Files.remove(source + "/" + boundary)
        expected[boundary] = nil
        let second = try test.commit("long", source)
        try check(second.version, expected)
        #expect(second.filesRead == 0)

        try write(boundary, "back")
        try write("aaa", "first")
        try write(Self.name(5), "changed")
        expected[boundary] = "back"
        expected["aaa"] = "first"
        expected[Self.name(5)] = "changed"
        let third = try test.commit("long", source)
        try check(third.version, expected)
        #expect(third.filesRead <= 3)
        #expect(third.storedBytes <= 20)
        let status = try SourceComparison(
            reader: test.repository.reader,
            cache: try test.repository.statCache(
                scope: "dataset/long", latest: third.version.record, in: test.repository.state()), filter: nil,
            threads: 2
        ).run(source, against: test.root(third.version))
        #expect(status.changes.isEmpty)
        #expect(try Checker(repository: test.repository).run(data: true).problems == [])
    }

    @Test func statusSeesEveryKindOfChange() throws {
        let version = try test.commit("long", source).version
        let boundary = try boundary
        try Files.remove(source + "/" + boundary)
        try write("zzz", "new")
        try write(Self.name(7), "other")
        let comparison = SourceComparison(
            reader: test.repository.reader,
            cache: try test.repository.statCache(
                scope: "dataset/long", latest: version.record, in: test.repository.state()), filter: nil,
            threads: 2)
        let changes = try comparison.run(source, against: test.root(version)).changes
        let expected = [(boundary, "removed"), (Self.name(7), "modified"), ("zzz", "added")].sorted { $0.0 < $1.0 }
        #expect(changes.map { String(decoding: $0.path, as: UTF8.self) } == expected.map(\.0))
        #expect(changes.map(\.kind.rawValue) == expected.map(\.1))
    }

    private struct Without: CaptureFilter {
        let name: [UInt8]
        func includes(_ path: [UInt8], isDirectory: Bool) -> Bool { path != name }
    }

    /// Where a part ends with a name that does not belong to the tree, the tree is still what its entries make.
    @Test func aNameThatEndsAPartCanBeLeftOut() throws {
        let boundary = try boundary
        var expected = everything
        expected[boundary] = nil
        let options = CaptureOptions(filter: Without(name: Array(boundary.utf8)))
        try check(try test.commit("long", source, options: options).version, expected)
        try write(Self.name(9), "changed")
        expected[Self.name(9)] = "changed"
        try check(try test.commit("long", source, options: options).version, expected)
    }
}
