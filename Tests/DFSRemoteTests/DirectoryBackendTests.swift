import DFSModel
import DFSRemote
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

@Suite struct DirectoryBackendTests {
    @Test func conforms() throws {
        let directory = try TemporaryDirectory()
        #expect(try BackendConformance { DirectoryBackend(root: directory.path) }.run() == [])
    }

    @Test func filesAreReadOnly() throws {
        let directory = try TemporaryDirectory()
        let backend = DirectoryBackend(root: directory.path)
        try backend.put("packs/aa/x", [1])
        #expect(try FileStatus.of(path: directory.sub("packs/aa/x"))?.mode == 0o444)
    }

    /// Opened as a file, a fifo would wait for a writer.
    @Test func whatIsNoFileIsRefused() throws {
        let directory = try TemporaryDirectory()
        let backend = DirectoryBackend(root: directory.path)
        try Files.makeDirectories(directory.sub("packs"))
        try #require(mkfifo(directory.sub("packs/fifo"), 0o644) == 0)
        try Files.makeDirectories(directory.sub("packs/folder"))
        try #require(symlink("/dev/null", directory.sub("packs/device")) == 0)
        for key in ["packs/fifo", "packs/folder", "packs/device"] {
            let errors = [
                #expect(throws: DFSError.self) { try backend.get(key, limit: 10) },
                #expect(throws: DFSError.self) { try backend.open(key) },
                #expect(throws: DFSError.self) { try backend.settle(key) },
            ]
            for error in errors {
                #expect(error?.code == .corrupt && error?.what.contains(key) == true, "\(key)")
            }
            #expect(try backend.standing(key, limit: 10) == [])
        }
        #expect(try backend.standing("packs/absent", limit: 10) == nil)
    }

    @Test func aDroppedFileLeavesNothing() throws {
        let directory = try TemporaryDirectory()
        let backend = DirectoryBackend(root: directory.path)
        do { try backend.begin().append([1, 2, 3]) }
        #expect(try backend.list("tmp/").isEmpty)
    }
}
