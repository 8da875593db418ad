import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

/// What `dfs status` says is what a commit does.
@Suite struct StatusTests {
    private let test: TestRepository
    private let source: String

    init() throws {
        test = try TestRepository()
        source = test.directory.sub("source")
        try Files.makeDirectories(source)
    }

    private func status(_ version: VersionRecord) throws -> SourceComparison.Result {
        let cache = try test.repository.statCache(
            scope: "dataset/d", latest: version.record, in: test.repository.state())
        return try SourceComparison(reader: test.repository.reader, cache: cache, filter: nil, threads: 2)
            .run(source, against: test.root(version))
    }

    private static func text(_ changes: [TreeChange]) -> [String] {
        changes.map { "\($0.kind.rawValue) \(String(decoding: $0.path, as: UTF8.self))" }
    }

    /// The path of what lies deepest is longer than PATH_MAX.
    @Test func pathsMayBeLongerThanTheSystemTakes() throws {
        let name = [UInt8](repeating: UInt8(ascii: "d"), count: 240)
        var directory = try OwnedDescriptor.open(source, O_RDONLY | O_DIRECTORY)
        for _ in 0..<20 {
            try #require(withCName(name) { mkdirat(directory.raw, $0, 0o755) } == 0)
            directory = try OwnedDescriptor.open(bytes: name, O_RDONLY | O_DIRECTORY, at: directory.raw)
        }
        func write(_ text: String) throws {
            let file = try OwnedDescriptor.open("f", O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644, at: directory.raw)
            try Files.write(Array(text.utf8), to: file.raw, what: "a test file")
        }
        try write("one")
        let version = try test.commit("d", source).version
        #expect(try status(version).changes.isEmpty)
        try write("two")
        let changes = try status(version).changes
        #expect(changes.map(\.kind) == [.modified])
        let path = [[UInt8]](repeating: name, count: 20) + [[0x66]]
        #expect(changes.first?.path == Array(path.joined(separator: [0x2f])))
    }

    /// As `dfs diff` says of the two versions, whatever became of what.
    @Test func changesOfKindAreThoseOfTheNextVersion() throws {
        try test.directory.write("source/file", "a")
        try test.directory.write("source/file2", "a")
        for name in ["folder", "folder2"] {
            try test.directory.write("source/\(name)/sub/x", "x")
            try test.directory.write("source/\(name)/y", "y")
        }
        try #require(symlink("y", source + "/link") == 0)
        let before = try test.commit("d", source).version
        for name in ["file", "file2", "link", "folder", "folder2"] { try Files.removeTree(source + "/" + name) }
        try test.directory.write("source/file/inner/z", "z")
        try #require(symlink("there", source + "/file2") == 0)
        try test.directory.write("source/folder", "now a file")
        try #require(symlink("there", source + "/folder2") == 0)
        try test.directory.write("source/link/in", "i")
        let changes = Self.text(try status(before).changes)
        let after = try test.commit("d", source).version
        var expected = [TreeChange]()
        try TreeDiff(reader: test.repository.reader).changes(from: test.root(before), to: test.root(after)) {
            expected.append($0)
        }
        #expect(changes.sorted() == Self.text(expected).sorted())
        #expect(changes.count == 18)
        for name in ["file", "folder", "folder2", "link"] {
            let both = changes.filter { $0.hasSuffix(" " + name) }
            #expect(both == ["removed \(name)", "added \(name)"])
        }
        #expect(try status(after).changes.isEmpty)
    }

    /// What a commit refuses is named, and is not in the next version.
    @Test func whatBecameSpecialIsGone() throws {
        try test.directory.write("source/a", "a")
        try test.directory.write("source/b", "b")
        let version = try test.commit("d", source).version
        try Files.remove(source + "/b")
        try #require(mkfifo(source + "/b", 0o644) == 0)
        let result = try status(version)
        #expect(Self.text(result.changes) == ["removed b"] && result.special == [Array("b".utf8)])
        #expect(throws: DFSError.self) { try test.commit("d", source) }
        let next = try test.commit("d", source, options: CaptureOptions(skipSpecial: true)).version
        #expect(next.number == 2 && next.tree.files == 1)
    }

    @Test(.enabled(if: geteuid() == 0)) func theKernelsOwnFileSystemsAreSpecial() throws {
        try test.directory.write("source/a", "a")
        let version = try test.commit("d", source).version
        let place = source + "/proc"
        try Files.makeDirectories(place)
        try #require(mount("proc", place, "proc", 0, nil) == 0)
        defer { umount2(place, 2) }
        let result = try status(version)
        #expect(result.special == [Array("proc".utf8)] && result.changes.isEmpty)
        #expect(throws: DFSError.self) { try test.commit("d", source) }
    }
}
