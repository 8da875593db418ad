import DFSModel
import DFSSystem
import DFSTestSupport
import DFSVirtual
import Glibc
import Testing

/// Runs while they run and after.
struct RunTests {
    private func temporaryDirectory() throws -> String {
        let path = "/tmp/dfs-virtual-" + Randomness.hex(bytes: 8)
        for part in ["outputs/sub", "logs"] { try Files.makeDirectories(path + "/" + part) }
        return path
    }

    private func write(_ text: String, _ path: String) throws {
        let fd = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_APPEND)
        try Files.write(Array(text.utf8), to: fd.raw, what: path)
    }

    private let id = UUIDv7.make()

    @Test func liveThenSealed() throws {
        let path = try temporaryDirectory()
        defer { try? Files.removeTree(path) }
        let run = RunID(id), walker = TreeWalker(), base = "runs/\(run)"
        var data = ReferenceFileSystem()
        data.add("x", .file(Array("data".utf8)))
        walker.history.commit(data, to: "faces")
        let live = LivePaths(outputs: path + "/outputs", logs: path + "/logs", metrics: path + "/metrics.jsonl")
        walker.history.start(
            run, name: "calm-otter", data: [("faces", "faces", 1)], code: data, live: live,
            documents: [.status: Array("running\n".utf8), .record: Array("{}".utf8)])

        #expect(
            try walker.list(base)
                == [
                    "code", "data", "env", "evidence", "logs", "metrics.jsonl", "outputs", "record.json", "status",
                    "work",
                ])
        #expect(try walker.text(base + "/status") == "running\n")
        #expect(try walker.text(base + "/data/faces/x") == "data")
        #expect(try walker.text(base + "/code/x") == "data")
        #expect(try walker.find(base + "/host.json") == nil)
        #expect(try walker.text(base + "/metrics.jsonl") == "")
        #expect(try walker.list(base + "/work") == [])
        #expect(try walker.target("runs/latest") == run.description)
        #expect(try walker.target("runs/calm-otter") == run.description)
        #expect(try walker.target("runs/\(run.description.suffix(8))") == run.description)
        #expect(try walker.find("runs/nobody") == nil)
        #expect(try walker.list("runs") == [run.description, "latest"].sorted())
        let version = try walker.tree.extendedAttributes(
            of: try #require(try walker.find(base + "/data/faces/x")).id)
        #expect(version.contains { $0.name == "user.dfs.version" && $0.value == "v1" })

        try write("one\n", path + "/logs/stdout")
        try write("m\n", path + "/metrics.jsonl")
        try write("model", path + "/outputs/sub/model")
        #expect(try walker.text(base + "/logs/stdout") == "one\n")
        try write("two\n", path + "/logs/stdout")
        #expect(try walker.text(base + "/logs/stdout") == "one\ntwo\n")
        #expect(try walker.text(base + "/metrics.jsonl") == "m\n")
        #expect(try walker.text(base + "/outputs/sub/model") == "model")
        #expect(try walker.find(base + "/logs/stdout")?.lifetime == Lifetime.none)

        let directories = ["", "/data", "/data/faces", "/code", "/outputs", "/outputs/sub", "/work", "/logs"]
        let before = try directories.map { try walker.find(base + $0)?.id }
        let liveLog = try #require(try walker.find(base + "/logs/stdout"))
        let liveModel = try #require(try walker.find(base + "/outputs/sub/model"))
        var outputs = ReferenceFileSystem()
        outputs.add("a", .file(Array("new".utf8)))
        outputs.add("sub/model", .file(Array("model".utf8)))
        var logs = ReferenceFileSystem()
        logs.add("stdout", .file(Array("one\ntwo\n".utf8)))
        walker.history.finish(
            run, outputs: outputs, logs: logs, metrics: Array("m\n".utf8),
            documents: [.status: Array("succeeded\n".utf8)])
        try Files.removeTree(path)

        #expect(try directories.map { try walker.find(base + $0)?.id } == before)
        let listed = try walker.names(try #require(try walker.find(base + "/outputs")).id)
        #expect(listed.first { $0.name == Array("sub".utf8) }?.attributes.id == before[5])
        #expect(try walker.text(base + "/outputs/sub/model") == "model")
        #expect(try walker.text(base + "/outputs/a") == "new")
        #expect(try walker.text(base + "/logs/stdout") == "one\ntwo\n")
        #expect(try walker.text(base + "/metrics.jsonl") == "m\n")
        #expect(try walker.text(base + "/status") == "succeeded\n")
        #expect(try walker.find(base + "/outputs")?.lifetime == .immutable)
        // Whoever follows the log goes on in the stored one.
        #expect(try walker.read(liveLog.id, at: 4) == Array("two\n".utf8))
        // The file of the live directory is another one, and gone.
        #expect(throws: DFSError.self) { try walker.tree.attributes(of: liveModel.id) }
        #expect(try walker.find(base + "/outputs/sub/model")?.id != liveModel.id)
    }

    @Test func linksLeadNowhere() throws {
        let path = try temporaryDirectory()
        defer { try? Files.removeTree(path) }
        let run = RunID(id), walker = TreeWalker(), base = "runs/\(run)/outputs"
        walker.history.start(run, live: LivePaths(outputs: path + "/outputs"))
        try #require(symlink("/etc", path + "/outputs/etc") == 0)
        try #require(symlink("/etc/passwd", path + "/outputs/passwd") == 0)
        try #require(mkfifo(path + "/outputs/fifo", 0o600) == 0)
        #expect(try walker.find(base + "/etc")?.kind == .symlink)
        #expect(try walker.target(base + "/passwd") == "/etc/passwd")
        #expect(try walker.find(base + "/fifo") == nil)
        #expect(try walker.list(base) == ["etc", "passwd", "sub"])
        // A directory that becomes a link after it got its number.
        let sub = try #require(try walker.find(base + "/sub"))
        try #require(rmdir(path + "/outputs/sub") == 0 && symlink("/etc", path + "/outputs/sub") == 0)
        guard case .absent = try walker.tree.lookup(Array("passwd".utf8), in: sub.id) else {
            Issue.record("a link was followed")
            return
        }
        #expect(try walker.names(sub.id).isEmpty)
        // A file that becomes a link after it got its id.
        try write("x", path + "/outputs/plain")
        let plain = try #require(try walker.find(base + "/plain"))
        try #require(unlink(path + "/outputs/plain") == 0 && symlink("/etc/passwd", path + "/outputs/plain") == 0)
        #expect(throws: DFSError.self) { try walker.read(plain.id) }
    }

    @Test func replacedFilesAreOthers() throws {
        let path = try temporaryDirectory()
        defer { try? Files.removeTree(path) }
        let run = RunID(id), walker = TreeWalker(), base = "runs/\(run)/outputs"
        walker.history.start(run, live: LivePaths(outputs: path + "/outputs"))
        try write("old", path + "/outputs/checkpoint")
        let old = try #require(try walker.find(base + "/checkpoint"))
        try write("new!", path + "/outputs/next")
        try #require(rename(path + "/outputs/next", path + "/outputs/checkpoint") == 0)
        #expect(throws: DFSError.self) { try walker.read(old.id) }
        let new = try #require(try walker.find(base + "/checkpoint"))
        #expect(new.id != old.id && new.inode != old.inode)
        #expect(try walker.text(base + "/checkpoint") == "new!")
        // Nothing is kept of what the kernel has forgotten.
        let json = { () throws -> JSONValue in
            try JSONValue.parse(Array(try #require(try walker.text(".dfs/stats")).utf8))
        }
        #expect(try json()["live_files"]?.integer == 2)
        walker.tree.forget(old.id, lookups: 1)
        walker.tree.forget(new.id, lookups: 2)
        #expect(try json()["live_files"]?.integer == 0)
        #expect(throws: DFSError.self) { try walker.tree.attributes(of: new.id) }
    }

    /// Two changes within one tick of the clock must not look alike to whoever compares times.
    @Test func youngFilesNeverLookOld() throws {
        let path = try temporaryDirectory()
        defer { try? Files.removeTree(path) }
        let run = RunID(id), walker = TreeWalker(), base = "runs/\(run)/outputs"
        walker.history.start(run, live: LivePaths(outputs: path + "/outputs"))
        try write("x", path + "/outputs/f")
        #expect(try walker.find(base + "/f")?.modified != walker.find(base + "/f")?.modified)
        var times = [timespec(tv_sec: 1000, tv_nsec: 5), timespec(tv_sec: 1000, tv_nsec: 5)]
        try #require(utimensat(AT_FDCWD, path + "/outputs/f", &times, 0) == 0)
        #expect(try walker.find(base + "/f")?.modified == Timestamp(seconds: 1000, nanoseconds: 5))
    }

    @Test func aLiveRootIsNeverAbsent() throws {
        let run = RunID(id), walker = TreeWalker()
        walker.history.start(run, live: LivePaths(outputs: "/nonexistent/outputs"))
        #expect(try walker.list("runs/\(run)/outputs") == [])
        #expect(try walker.find("runs/\(run)/outputs")?.kind == .directory)
    }

    /// Links in the place of a live folder, which others could make, lead nowhere either.
    @Test func linksAboveATreeLeadNowhere() throws {
        let path = try temporaryDirectory()
        defer { try? Files.removeTree(path) }
        try write("secret", path + "/outputs/diary")
        try write("secret", path + "/metrics.jsonl")
        try Files.makeDirectories(path + "/live/real")
        try #require(symlink("..", path + "/live/link") == 0)
        let walker = TreeWalker()
        let runs = [RunID(id), RunID(UUIDv7.make())]
        for (run, folder) in zip(runs, ["link", "../live/real"]) {
            let live = path + "/live/" + folder
            walker.history.start(
                run,
                live: LivePaths(below: path + "/live", outputs: live + "/outputs", metrics: live + "/metrics.jsonl"))
        }
        #expect(try walker.list("runs/\(runs[0])/outputs") == [])
        #expect(try walker.text("runs/\(runs[0])/metrics.jsonl") == "")
    }

    /// What was found of a dead launcher's run may be corrected by the launcher, if it was not dead after all.
    @Test func foundEndsAreNotKept() throws {
        let run = RunID(id), walker = TreeWalker(), base = "runs/\(run)"
        walker.history.start(run, live: LivePaths())
        var found = ReferenceFileSystem()
        found.add("a/x", .file(Array("half".utf8)))
        found.add("f", .file(Array("half".utf8)))
        walker.history.finish(
            run, outputs: found, documents: [.status: Array("interrupted\n".utf8)], isFinal: false)
        #expect(try walker.text(base + "/outputs/a/x") == "half")
        #expect(try walker.text(base + "/status") == "interrupted\n")
        for name in ["", "/status", "/outputs", "/outputs/a", "/outputs/a/x", "/outputs/f"] {
            let lifetime = try walker.find(base + name)?.lifetime
            #expect(lifetime == (name.isEmpty ? .watched : .brief), "\(name)")
        }
        let outputs = try #require(try walker.find(base + "/outputs")).id
        #expect(try walker.names(outputs).dropFirst(2).allSatisfy { $0.lifetime == .brief })
        guard case .absent(.brief) = try walker.tree.lookup(Array("later".utf8), in: outputs) else {
            Issue.record("absence is kept")
            return
        }
        let folder = try #require(try walker.find(base + "/outputs/a")).id

        var corrected = ReferenceFileSystem()
        corrected.add("0/y", .file(Array("other".utf8)))
        corrected.add("a/x", .file(Array("whole".utf8)))
        corrected.add("later", .file([]))
        walker.history.finish(run, outputs: corrected, documents: [.status: Array("succeeded\n".utf8)])
        #expect(try walker.list(base + "/outputs") == ["0", "a", "later"])
        #expect(try walker.text(base + "/outputs/a/x") == "whole")
        #expect(try walker.text(base + "/outputs/0/y") == "other")
        #expect(try walker.text(base + "/status") == "succeeded\n")
        #expect(try walker.find(base + "/outputs/a")?.id == folder)
        #expect(try walker.find(base + "/outputs/a/x")?.lifetime == .immutable)
    }

    @Test func keysOfDataMayBeAnyText() throws {
        let run = RunID(id), walker = TreeWalker()
        var data = ReferenceFileSystem()
        data.add("x", .file(Array("data".utf8)))
        walker.history.commit(data, to: "d")
        walker.history.start(run, data: [("donn\u{e9}es", "d", 1)], live: LivePaths())
        #expect(try walker.text("runs/\(run)/data/donn\u{e9}es/x") == "data")
        #expect(try walker.find("runs/\(run)/data/donne\u{301}es") == nil)
    }

    @Test func liveListingsResume() throws {
        let path = try temporaryDirectory()
        defer { try? Files.removeTree(path) }
        let run = RunID(id), walker = TreeWalker()
        walker.history.start(run, live: LivePaths(outputs: path + "/outputs"))
        for i in 0..<500 { try write("", path + "/outputs/f\(i)") }
        let root = try #require(try walker.find("runs/\(run)/outputs")).id
        var all = [Listed]()
        while true {
            let part = try walker.names(root, after: all.last?.next ?? 0, limit: 7)
            if part.isEmpty { break }
            all += part
        }
        #expect(all.count == 503 && Set(all.map(\.name)).count == 503)
    }
}
