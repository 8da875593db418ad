import DFSModel
import DFSRuns
import DFSStore
import DFSSystem
import DFSTestSupport
import DFSVirtual
import Glibc
import Testing

/// What a tree refuses to show, whichever way leads to it, and what it notes of that and of reading.
struct DenialTests {
    private let folder: TemporaryDirectory
    private let history = FakeHistory()

    init() throws {
        folder = try TemporaryDirectory()
        history.commit(Self.files(test: "t1"), to: "ct")
        history.commit(Self.files(test: "t2"), to: "ct")
        // The same test set under another name, and in another dataset.
        var other = ReferenceFileSystem()
        other.add("copy/1", .file(Array("t1".utf8)))
        other.add("copy/2", .file(Array("second".utf8)))
        other.add("loose", .file(Array("t1".utf8)))
        history.commit(other, to: "other")
    }

    private static func files(test: String) -> ReferenceFileSystem {
        var files = ReferenceFileSystem()
        files.add("split/test/1", .file(Array(test.utf8)))
        files.add("split/test/2", .file(Array("second".utf8)))
        files.add("split/train/1", .file(Array("train".utf8)))
        files.add("labels", .file(Array("labels".utf8)))
        return files
    }

    /// The tree with `path` of ct@v1 denied.
    private func walker(_ path: String) throws -> TreeWalker {
        let parts = path.split(separator: "/").map { Array($0.utf8) }
        let root = try history.version(1, of: "ct").root
        var entry = root
        for name in parts {
            let node = try history.node(try #require(entry.address))
            entry = try #require(node.entry(named: name))
        }
        let rule = Denials.Rule(dataset: "ct", version: 1, path: parts, entry: entry)
        return TreeWalker(
            history: history, denials: Denials([rule]),
            accesses: AccessRecorder(
                path: folder.sub(AccessLogName.server), notesReads: true, header: ["monitor": "fuse"]))
    }

    private func isDenied(_ body: () throws -> Void) -> Bool {
        do {
            try body()
            return false
        } catch { return (error as? DFSError)?.errno == EACCES }
    }

    @Test func aDeniedDirectoryIsThereAndClosed() throws {
        let walker = try walker("split/test")
        // In the version, in the next one that shares the path, and where the same content is under another name.
        for path in ["datasets/ct/v1/split/test", "datasets/ct/v2/split/test", "datasets/other/v1/copy"] {
            let directory = try #require(try walker.find(path), "\(path)")
            #expect(directory.kind == .directory)
            #expect(isDenied { _ = try walker.list(path) }, "\(path)")
            #expect(isDenied { _ = try walker.find(path + "/1") }, "\(path)")
            // Nor is it said what is not there.
            #expect(isDenied { _ = try walker.find(path + "/absent") }, "\(path)")
            #expect(isDenied { try walker.tree.admit(directory: directory.id, caller: 0) }, "\(path)")
        }
        #expect(try walker.text("datasets/ct/v1/split/train/1") == "train")
        #expect(try walker.list("datasets/ct/v2/split") == ["test", "train"])
        // Single files of it are not looked for elsewhere.
        #expect(try walker.text("datasets/other/v1/loose") == "t1")
    }

    @Test func aDeniedFileIsListedOnly() throws {
        let walker = try walker("split/test/1")
        #expect(try walker.list("datasets/ct/v1/split/test") == ["1", "2"])
        for path in ["ct/v1/split/test/1", "ct/v2/split/test/1", "other/v1/loose", "other/v1/copy/1"] {
            #expect(isDenied { _ = try walker.find("datasets/" + path) }, "\(path)")
        }
        #expect(try walker.text("datasets/ct/v1/split/test/2") == "second")
        let directory = try #require(try walker.find("datasets/ct/v1/split/test"))
        // Without an id the kernel cannot open it by itself.
        let listed = try walker.names(directory.id).first { $0.name == Array("1".utf8) }
        #expect(listed?.isComplete == false)
    }

    @Test func aVersionIsDeniedAlone() throws {
        let walker = try walker("")
        #expect(isDenied { _ = try walker.list("datasets/ct/v1") })
        #expect(try walker.text("datasets/ct/v2/labels") == "labels")
    }

    @Test func rulesSurviveTheirJSON() throws {
        let entry = try history.version(1, of: "ct").root
        let denials = Denials([Denials.Rule(dataset: "a/b", version: 2, path: [[0xff], [0x61]], entry: entry)])
        #expect(Denials(json: denials.json)?.rules == denials.rules)
        #expect(Denials(json: [["dataset": "a"]]) == nil)
        #expect(Denials(json: "x") == nil)
    }

    /// The launcher writes its log when the folder stays; from then on a killed server has left at least that it watched.
    @Test func theLogBeginsWithTheJob() throws {
        let walker = try walker("split/test")
        walker.tree.accesses?.write(walker.tree)
        #expect(!Files.exists(folder.sub(AccessLogName.server)))
        try folder.write(AccessLogName.launcher, "{\"format\":\"dfs.access-log/1\",\"monitor\":\"launcher\"}\n")
        for _ in 0..<2 { walker.tree.accesses?.write(walker.tree) }
        let sessions = try AccessTrace.read(folder: folder.path).sessions
        #expect(sessions.map(\.monitor) == ["launcher", "fuse"] && sessions.last?.hasEnded == false)
    }

    @Test func readsAndRefusalsAreNoted() throws {
        let walker = try walker("split/test")
        for _ in 0..<3 { #expect(try walker.text("datasets/ct/v1/split/train/1") == "train") }
        _ = try walker.find("datasets/ct/v1/labels")
        _ = isDenied { _ = try walker.find("datasets/ct/v1/split/test/1") }
        _ = isDenied { _ = try walker.find("datasets/ct/v1/split/test/1") }
        walker.tree.accesses?.write(walker.tree)
        walker.tree.accesses?.write(walker.tree, ending: true)
        let trace = try AccessTrace.read(folder: folder.path)
        // A file that was only looked at is none that was read.
        #expect(trace.files.map { String(decoding: $0.path, as: UTF8.self) } == ["split/train/1"])
        let file = try #require(trace.files.first)
        #expect(file.source == .dataset("ct", version: 1) && file.count == 3)
        let listed = try #require(try walker.find("datasets/ct/v1/split/train/1"))
        let hex = try walker.tree.extendedAttributes(of: listed.id).first { $0.name == "user.dfs.sha256" }?.value
        #expect(file.digest?.hex == hex && file.size == 5)
        #expect(trace.denials.map { String(decoding: $0.path, as: UTF8.self) } == ["split/test/1"])
        #expect(trace.attempts == 2 && trace.sessions.first?.hasEnded == true)
    }
}
