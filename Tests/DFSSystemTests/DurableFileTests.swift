import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

@Suite struct DurableFileTests {
    @Test func appearsWholeUnderItsName() throws {
        let directory = try TemporaryDirectory()
        let file = try DurableFile(temporaryDirectory: directory.path)
        try file.append([1, 2, 3])
        #expect(!Files.exists(directory.sub("final")))
        try file.publish(as: directory.sub("final"))
        #expect(try Files.read(directory.sub("final")) == [1, 2, 3])
        #expect(try DirectoryListing.names(of: directory.path).count == 1)
    }

    @Test func neverReplacesByPublish() throws {
        let directory = try TemporaryDirectory()
        try directory.write("final", "old")
        let file = try DurableFile(temporaryDirectory: directory.path)
        try file.append([1])
        #expect(throws: DFSError.self) { try file.publish(as: directory.sub("final")) }
        #expect(try Files.read(directory.sub("final")) == Array("old".utf8))
    }

    @Test func linksOnlyIfAbsent() throws {
        let directory = try TemporaryDirectory()
        let a = try DurableFile(temporaryDirectory: directory.path)
        let b = try DurableFile(temporaryDirectory: directory.path)
        try a.append([1])
        try b.append([2])
        try a.link(as: directory.sub("one"))
        let error = #expect(throws: DFSError.self) { try b.link(as: directory.sub("one")) }
        #expect(error?.errno == EEXIST)
        #expect(try Files.read(directory.sub("one")) == [1])
    }

    @Test func permissionsDoNotDependOnTheUmask() throws {
        let directory = try TemporaryDirectory()
        let before = umask(0o077)
        defer { umask(before) }
        let file = try DurableFile(temporaryDirectory: directory.path)
        try file.publish(as: directory.sub("final"))
        #expect(try FileStatus.of(path: directory.sub("final"))?.mode == 0o444)
    }
}

@Suite struct FilesTests {
    @Test func absolutePaths() {
        #expect(Files.absolute("a/../b/./c//d", from: "/x") == "/x/b/c/d")
        #expect(Files.absolute("/../..") == "/")
        #expect(Files.parent("/a/b") == "/a")
        #expect(Files.parent("/a") == "/")
        #expect(Files.parent("a") == ".")
    }

    @Test func removesTreesWithoutFollowingLinks() throws {
        let directory = try TemporaryDirectory()
        try directory.write("keep/file", "x")
        try directory.write("gone/deep/file", "y")
        #expect(symlink(directory.sub("keep"), directory.sub("gone/link")) == 0)
        try Files.removeTree(directory.sub("gone"))
        #expect(!Files.exists(directory.sub("gone")))
        #expect(Files.exists(directory.sub("keep/file")))
    }

    @Test func namesAreBytes() throws {
        let directory = try TemporaryDirectory()
        let names: [[UInt8]] = [[0xff], [0xfe], Array("a\nb".utf8), Array("é".utf8), Array("e\u{301}".utf8)]
        for name in names { try TestFiles.write(name: name, in: directory.path, []) }
        #expect(try DirectoryListing.names(of: directory.path) == names.sorted(by: ByteOrder.precedes))
    }

    @Test func readsAreLimited() throws {
        let directory = try TemporaryDirectory()
        try directory.write("f", "12345")
        #expect(throws: DFSError.self) { try Files.read(directory.sub("f"), limit: 4) }
        #expect(try Files.read(directory.sub("absent")) == nil)
    }
}
