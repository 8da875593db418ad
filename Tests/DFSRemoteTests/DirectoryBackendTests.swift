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

    @Test func aDroppedFileLeavesNothing() throws {
        let directory = try TemporaryDirectory()
        let backend = DirectoryBackend(root: directory.path)
        do { try backend.begin().append([1, 2, 3]) }
        #expect(try backend.list("tmp/").isEmpty)
    }
}
