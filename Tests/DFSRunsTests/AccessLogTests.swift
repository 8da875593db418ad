import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

/// What watchers of a run write, and what is read of it.
struct AccessLogTests {
    private let folder: TemporaryDirectory
    private let faces = AccessSource.dataset("team/faces", version: 3)

    init() throws { folder = try TemporaryDirectory() }

    private func log(_ name: String = AccessLogName.server, _ header: [String: JSONValue] = ["monitor": "fuse"])
        -> AccessLog
    {
        AccessLog(path: folder.sub(name), header: header)
    }

    private func launcher(_ data: [JSONValue] = []) -> AccessLog {
        log(AccessLogName.launcher, ["monitor": "launcher", "data": .array(data)])
    }

    private static let end: JSONValue = ["end": 900, "lost": 0]

    @Test func whatIsWrittenIsRead() throws {
        let names =
            ["a/b.txt", "quote\"d", "per%cent", "back\\slash", "new\nline", "ü"].map { Array($0.utf8) } + [
                [0xff, 0x61]
            ]
        let digest = try #require(Digest(hex: String(repeating: "0a", count: 32)))
        var log = log()
        for (n, name) in names.enumerated() {
            log.opened(
                n, faces, path: name, at: Int64(100 + n), digest: n % 2 == 0 ? digest : nil,
                size: n % 2 == 0 ? 7 : nil)
        }
        log.again(1, count: 5, last: 800)
        log.append(Self.end)
        log.flush()
        let trace = try AccessTrace.read(folder: folder.path)
        #expect(Set(trace.files.map(\.path)) == Set(names))
        #expect(trace.files.allSatisfy { $0.source == faces } && trace.torn == 0)
        let quoted = try #require(trace.files.first { $0.path == names[1] })
        #expect(quoted.count == 5 && quoted.last == Timestamp(nanosecondsSince1970: 800))
        #expect(quoted.first == Timestamp(nanosecondsSince1970: 101) && quoted.digest == nil)
        let plain = try #require(trace.files.first { $0.path == names[0] })
        #expect(plain.digest == digest && plain.size == 7 && plain.count == 1)
        #expect(trace.sessions.map(\.hasEnded) == [true])
    }

    @Test func theFolderMayComeLater() throws {
        var log = AccessLog(path: folder.sub("later/log"), header: ["monitor": "fuse"])
        log.opened(0, faces, path: Array("a".utf8), at: 1)
        #expect(!log.flush() && log.failure == nil)
        try Files.makeDirectories(folder.sub("later"))
        #expect(log.flush() && log.waiting == 0)
        #expect(try Files.read(folder.sub("later/log"))?.isEmpty == false)
    }

    @Test func aKilledWatcherLeavesWhatItSaw() throws {
        var launcher = launcher()
        launcher.append(Self.end)
        launcher.flush()
        var log = log()
        log.opened(0, faces, path: Array("seen".utf8), at: 1)
        log.flush()
        let file = try OwnedDescriptor.open(folder.sub(AccessLogName.server), O_WRONLY | O_APPEND)
        try Files.write(Array("{\"at\":5,\"n\":1,\"pa".utf8), to: file.raw, what: "log")
        let trace = try AccessTrace.read(folder: folder.path)
        #expect(trace.files.map(\.path) == [Array("seen".utf8)] && trace.torn == 1)
        let gaps = AccessCoverage(trace).gaps
        #expect(gaps.contains { $0.contains("did not end in order") }, "\(gaps)")
        #expect(gaps.contains { $0.contains("torn") }, "\(gaps)")
    }

    @Test func aReplacedServerIsAGap() throws {
        var launcher = launcher()
        launcher.append(Self.end)
        launcher.flush()
        var first = log()
        first.opened(0, faces, path: Array("a".utf8), at: 1_000_000_000)
        first.flush()
        var second = log(
            AccessLogName.server, ["monitor": "fuse", "successor": true, "started": 9_000_000_000])
        second.opened(0, faces, path: Array("a".utf8), at: 10_000_000_000)
        second.opened(1, faces, path: Array("b".utf8), at: 11_000_000_000)
        second.append(Self.end)
        second.flush()
        let trace = try AccessTrace.read(folder: folder.path)
        #expect(trace.files.map { String(decoding: $0.path, as: UTF8.self) } == ["a", "b"])
        #expect(trace.files[0].count == 2 && trace.files[0].first < trace.files[0].last)
        let coverage = AccessCoverage(trace)
        #expect(!coverage.isComplete)
        let text = coverage.gaps.joined()
        #expect(
            text.contains("replaced") && text.contains("1970-01-01T00:00:01") && text.contains("00:00:09"), "\(text)")
    }

    /// Of a server that was killed before it wrote there is no session, and nothing is known of what it showed.
    @Test func aServerWithoutALogIsAGap() throws {
        let served = AccessCoverage.Served(
            key: "faces", dataset: "team/faces", version: 3, files: 9, way: "fuse", monitor: "fuse")
        for (data, code) in [([], "fuse"), ([served.json], "none")] as [([JSONValue], String)] {
            try? Files.remove(folder.sub(AccessLogName.server))
            try? Files.remove(folder.sub(AccessLogName.launcher))
            var launcher = launcher(data)
            launcher.append(["code": AccessCoverage.Code(monitor: code).json])
            launcher.append(Self.end)
            launcher.flush()
            let gaps = AccessCoverage(try AccessTrace.read(folder: folder.path)).gaps
            #expect(gaps.count == 1 && gaps.first?.contains("left no log") == true, "\(gaps)")
            var server = log()
            server.append(Self.end)
            server.flush()
            #expect(AccessCoverage(try AccessTrace.read(folder: folder.path)).gaps == [])
        }
    }

    @Test func lossIsSaid() throws {
        var launcher = launcher()
        launcher.append(["end": 1, "lost": 3, "reason": "the kernel's queue overflowed"])
        launcher.flush()
        let coverage = AccessCoverage(try AccessTrace.read(folder: folder.path))
        #expect(coverage.gaps == ["launcher lost 3 events: the kernel's queue overflowed"])
        #expect(AccessCoverage(try AccessTrace.read(folder: folder.sub("none"))).isComplete == false)
    }

    @Test func whatNobodyWatchedIsSaid() throws {
        let served = AccessCoverage.Served(
            key: "faces", dataset: "team/faces", version: 3, files: 9, way: "copy", monitor: "none", reason: "a copy")
        var launcher = launcher([served.json])
        launcher.append(Self.end)
        launcher.flush()
        let coverage = AccessCoverage(try AccessTrace.read(folder: folder.path))
        #expect(coverage.served == [served] && coverage.gaps == ["faces was not watched: a copy"])
    }

    @Test func deniedAttemptsOfOneNameAreOne() throws {
        var log = log()
        for d in 0..<3 {
            log.append([
                "d": .integer(Int64(d)), "at": .integer(Int64(50 - d)), "denied": "list", "path": "test",
                "s": .integer(Int64(log.number(of: faces))), "pid": .integer(Int64(d + 1)), "command": "ls",
            ])
        }
        log.append(["d": 1, "count": 4, "last": 70])
        log.append(["end": 90, "lost": 0, "unlisted": 2])
        log.flush()
        let trace = try AccessTrace.read(folder: folder.path)
        #expect(trace.denials.count == 1 && trace.attempts == 8)
        #expect(trace.denials.first?.pid == 3 && trace.denials.first?.count == 6)
    }

    @Test func openedPathsAreCountedOnceForEachFile() throws {
        var log = launcher()
        log.flush()
        let recorder = OpenRecorder(log: log)
        recorder.watch([
            .init(path: Array("/view/data/faces".utf8), source: faces, files: 5000),
            .init(path: Array("/view/data/faces/inner".utf8), source: .dataset("inner", version: 1), files: 1),
        ])
        func note(_ path: String, _ time: Int64) {
            Array(path.utf8).withUnsafeBytes { recorder.note($0, at: Timestamp(nanosecondsSince1970: time)) }
        }
        let count = 5000
        for round in 0..<3 {
            for i in 0..<count { note("/view/data/faces/f\(i)", Int64(round * count + i)) }
        }
        #expect(!recorder.isComplete)
        note("/view/data/faces/inner/x", 1)
        #expect(recorder.isComplete)
        note("/view/data/facesish/x", 1)
        recorder.end(lost: 0, reason: nil)
        let trace = try AccessTrace.read(folder: folder.path)
        #expect(trace.files.count == count + 1)
        #expect(trace.files.filter { $0.source == faces }.allSatisfy { $0.count == 3 })
        #expect(trace.files.contains { $0.source == .dataset("inner", version: 1) && $0.path == Array("x".utf8) })
        // What is below none of the places is said.
        #expect(trace.sessions.last?.lost == 1)
    }
}
