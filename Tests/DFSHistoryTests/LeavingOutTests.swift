import DFSHistory
import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

/// A capture that leaves out what it cannot read.
@Suite struct LeavingOutTests {
    /// Removes something when `at` is met.
    private struct Remover: CaptureFilter {
        let at: String
        let victim: String

        func includes(_ path: [UInt8], isDirectory: Bool) -> Bool {
            if NameText.encode(path) == at { try? Files.removeTree(victim) }
            return true
        }
    }

    private func capture(_ source: String, _ filter: Remover, tolerant: Bool) throws -> CaptureResult {
        let test = try TestRepository()
        let writer = StoreWriter(store: test.repository.objects)
        var options = CaptureOptions(threads: 1, filter: filter)
        options.leavesOutUnread = tolerant
        defer { writer.abandon() }
        return try Capture(
            root: source, writer: writer, reader: test.repository.reader, cache: nil, previous: nil, options: options
        ).run()
    }

    @Test func whatVanishesWhileItIsReadIsNamed() throws {
        let directory = try TemporaryDirectory()
        try directory.write("source/a", "1")
        try directory.write("source/b/c", "2")
        try directory.write("source/z", "3")
        let source = directory.sub("source")
        let gone = Remover(at: "z", victim: source + "/a")
        let result = try capture(source, gone, tolerant: true)
        #expect(result.notes.unread.map { NameText.encode($0.path) } == ["a"])
        #expect(result.summary.files == 2)
        let listed = result.notes.json["unread"]
        #expect(listed?["count"] == 1 && listed?["files"]?.array?.first?["path"] == "a")
        #expect(CaptureNotes().json["unread"] == nil)

        try directory.write("source/a", "1")
        let emptied = Remover(at: "z", victim: source + "/b")
        let without = try capture(source, emptied, tolerant: true)
        #expect(without.notes.unread.map { NameText.encode($0.path) } == ["b"])
        #expect(without.summary.files == 2)

        try directory.write("source/a", "1")
        #expect(throws: DFSError.self) { try capture(source, gone, tolerant: false) }
    }
}
