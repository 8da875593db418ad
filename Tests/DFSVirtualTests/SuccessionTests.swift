import CLinux
import DFSModel
import DFSSystem
import DFSTestSupport
import DFSVirtual
import Glibc
import Testing

/// A tree that goes on where another one has ended.
struct SuccessionTests {
    private let history = FakeHistory()
    private let records: OwnedDescriptor, liveFiles: OwnedDescriptor

    init() throws {
        func memory() throws -> OwnedDescriptor { OwnedDescriptor(adopting: clinux_memfd("dfs-test")) }
        (records, liveFiles) = (try memory(), try memory())
        var files = ReferenceFileSystem()
        for path in ["a/b/c", "a/d", "e"] { files.add(path, .file(Array(path.utf8))) }
        _ = history.commit(files, to: "faces/small")
        history.tag("good", "faces/small", 1)
        history.capture(files, "trainer", id: "0123456789ab")
    }

    /// The next server: its descriptors are its own, the files the same.
    private func tree() throws -> (walker: TreeWalker, journal: IdentityJournal) {
        func copy(_ file: OwnedDescriptor) -> OwnedDescriptor { OwnedDescriptor(adopting: dup(file.raw)) }
        let journal = try IdentityJournal(records: copy(records), liveFiles: copy(liveFiles))
        return (TreeWalker(history: history, journal: journal), journal)
    }

    private static let paths = [
        "", ".dfs", "datasets", "datasets/faces", "datasets/faces/small", "datasets/faces/small/tags/good",
        "datasets/faces/small/latest", "datasets/faces/small/v1", "datasets/faces/small/v1/a/b",
        "datasets/faces/small/v1/a/b/c", "datasets/faces/small/v1/e", "code/trainer/0123456789ab/a/d", "runs",
    ]

    @Test func idsMeanTheSame() throws {
        let first = try tree().walker
        let known = try Self.paths.map { try #require(try first.find($0), "\($0)") }
        // Asked in another order, and for ids that it has given to nobody itself.
        let second = try tree().walker
        for (path, before) in zip(Self.paths, known).reversed() {
            let after = try second.tree.attributes(of: before.id)
            #expect(after.inode == before.inode && after.modified == before.modified, "\(path)")
            #expect(try second.find(path)?.id == before.id, "\(path)")
        }
        let third = try tree().walker
        #expect(try Self.paths.map { try third.find($0)?.id } == known.map(\.id))
        #expect(try third.text("datasets/faces/small/v1/a/b/c") == "a/b/c")
    }

    /// Whoever died while it wrote a record has told nobody of that id.
    @Test func aRecordCutShortIsOfNobody() throws {
        let first = try tree().walker
        let version = try #require(try first.find("datasets/faces/small/v1"))
        let whole = lseek(records.raw, 0, SEEK_END)
        let next = try #require(try first.find("datasets/faces/small/v1/a/b"))
        let end = lseek(records.raw, 0, SEEK_END)
        for length in whole..<end {
            try #require(ftruncate(records.raw, length) == 0)
            let walker = try tree().walker
            #expect(try walker.tree.attributes(of: version.id).inode == version.inode)
            #expect(try walker.find("datasets/faces/small/v1/a/b")?.id == next.id)
            #expect(try walker.text("datasets/faces/small/v1/a/b/c") == "a/b/c")
        }
    }

    @Test func filesOfLiveRunsAreFound() throws {
        let folder = try TemporaryDirectory()
        for name in ["outputs/sub", "logs"] { try Files.makeDirectories(folder.sub(name)) }
        try folder.write("logs/stdout", "one\n")
        try folder.write("outputs/sub/model", "m")
        let run = RunID(UUIDv7.make())
        history.start(
            run, name: "calm-otter", data: [], code: ReferenceFileSystem(),
            live: LivePaths(outputs: folder.sub("outputs"), logs: folder.sub("logs"), metrics: nil),
            documents: [.status: Array("running\n".utf8)])
        let first = try tree().walker
        let log = try #require(try first.find("runs/\(run)/logs/stdout"))
        let model = try #require(try first.find("runs/\(run)/outputs/sub/model"))
        _ = try first.find("runs/\(run)/outputs/sub/model")

        let second = try tree().walker
        try folder.write("logs/stdout", "one\ntwo\n")
        #expect(String(decoding: try second.read(log.id), as: UTF8.self) == "one\ntwo\n")
        #expect(String(decoding: try second.read(model.id), as: UTF8.self) == "m")
        // Looked up twice: forgotten once, it is still known.
        second.tree.forget(model.id, lookups: 1)
        let third = try tree().walker
        #expect(String(decoding: try third.read(model.id), as: UTF8.self) == "m")
        third.tree.forget(model.id, lookups: 1)
        third.tree.forget(log.id, lookups: 1)
        let fourth = try tree().walker
        #expect(throws: DFSError.self) { try fourth.read(model.id) }
        #expect(try fourth.text("runs/\(run)/outputs/sub/model") == "m")
        // The slot of a file that was forgotten is used again.
        let size = lseek(liveFiles.raw, 0, SEEK_END)
        for _ in 0..<100 {
            let again = try #require(try fourth.find("runs/\(run)/outputs/sub/model"))
            fourth.tree.forget(again.id, lookups: 1)
        }
        #expect(lseek(liveFiles.raw, 0, SEEK_END) == size)
    }

    @Test func notesAreKept() throws {
        let first = try tree()
        try first.journal.append(.lease, Array("leases/1".utf8))
        try first.journal.append(.serving, [1, 2, 3])
        let second = try tree()
        #expect(second.journal.last(.lease) == Array("leases/1".utf8) && second.journal.last(.serving) == [1, 2, 3])
    }
}
