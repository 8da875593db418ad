import DFSLedger
import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

/// init, commit, status, tag.
@Suite struct DatasetCommandTests {
    private let sandbox: Sandbox

    init() throws { sandbox = try Sandbox() }

    @Test func theFirstCommitMakesTheDefaultStore() throws {
        try sandbox.write("hello", to: "work/src/a")
        try sandbox.expect(10, "ls")
        let answer = try sandbox.expect(0, "commit", "faces", "src")
        #expect(
            answer.output.hasPrefix("faces v1  sha256:") && answer.output.contains("  1 file, 5 B (stored 5 B new)"))
        #expect(answer.error.contains("made a store in \(sandbox.store)"))
        let again = try sandbox.expect(0, "commit", "faces", "--json")
        let json = try JSONValue.parse(again.output)
        #expect(json["schema"] == "dfs.commit/1" && json["new"] == false && json["version"] == 1)
        #expect(json["source"] == .string(sandbox.work + "/src") && json["filesRead"] == 0)
    }

    @Test func aNamedStoreIsNeverMadeByACommit() throws {
        try sandbox.write("hello", to: "work/src/a")
        let answer = try sandbox.expect(10, "commit", "faces", "src", "--store", "elsewhere")
        #expect(answer.error.contains("hint: dfs init \(sandbox.work)/elsewhere"))
        try sandbox.expect(0, "init", "elsewhere")
        try sandbox.expect(0, "commit", "faces", "src", "--store", "elsewhere")
    }

    @Test func initRefusesWhatIsNotEmpty() throws {
        try sandbox.write("hello", to: "work/src/a")
        let answer = try sandbox.expect(2, "init", "src")
        #expect(answer.error.contains("hint: dfs init \(sandbox.work)/src/store"))
        let made = try sandbox.expect(0, "init", "--json", "src/store")
        #expect(try JSONValue.parse(made.output)["schema"] == "dfs.init/1")
        try sandbox.expect(2, "init", "src/store")
        try sandbox.expect(64, "init", "x", "--shared", "no-such-group-here")
        // A group that whoever runs the tests is in.
        let group = try #require(getgrgid(getegid()))
        try sandbox.expect(0, "init", "common", "--shared", String(cString: group.pointee.gr_name))
        for (folder, mode) in [("packs", 0o2775), ("ledger", 0o2775), ("tmp", 0o2775), ("live", 0o3775)] {
            let status = try FileStatus.of(path: sandbox.work + "/common/" + folder)
            #expect(status?.mode == UInt16(mode), "\(folder)")
        }
    }

    @Test func theProjectFileNamesTheSource() throws {
        try sandbox.write("one", to: "work/data/faces/a")
        try sandbox.write("[data]\nfaces = \"data/faces\"\n", to: "work/dfs.toml")
        #expect(try sandbox.expect(0, "commit").output.hasPrefix("faces v1"))
        try sandbox.write("[data]\nfaces = \"data/faces\"\nother = \"data/other\"\n", to: "work/dfs.toml")
        #expect(try sandbox.expect(64, "commit").error.contains("cause: dfs.toml names faces, other"))
        try sandbox.expect(64, "commit", "unheard-of")
    }

    @Test func settingsThatMeanNothingAreNamed() throws {
        try sandbox.write("one", to: "work/src/a")
        try sandbox.write("[data]\n[runs]\ndata = []\n[project]\nnmae = \"x\"\n", to: "work/dfs.toml")
        for arguments in [["commit", "faces", "src"], ["status", "faces", "src"]] {
            let warnings = try sandbox.expect(0, arguments[0], arguments[1], arguments[2]).errorLines.filter {
                $0.hasPrefix("warning: ")
            }
            #expect(warnings.count == 2, "\(warnings)")
            #expect(warnings.contains { $0.contains("unknown key runs") && $0.contains("line 2") })
            #expect(warnings.contains { $0.contains("project.nmae; did you mean name?") })
        }
    }

    @Test func whatIsDroppedIsSaid() throws {
        try sandbox.write("one", to: "work/src/a")
        try sandbox.expect(0, "commit", "d", "src", "-m", "first")
        let again = try sandbox.expect(0, "commit", "d", "src", "-m", "second")
        #expect(again.error.contains("message not recorded: nothing changed"))
        let metadata = try sandbox.expect(0, "commit", "d", "src", "-m", "second", "--meta", "a=1")
        #expect(metadata.error.contains("message and metadata not recorded: nothing changed"))
        #expect(try sandbox.expect(0, "commit", "d", "src").error.isEmpty)
        try sandbox.expect(64, "commit", "d", "src", "--meta", "a=1", "--meta", "a=2")
        let dash = try sandbox.expect(64, "commit", "d", "-dash")
        #expect(dash.error.contains("unknown option '-dash'"))
        #expect(try sandbox.call("commit", "-h").code == 0)
    }

    /// The ignore file is a pipe that nobody writes, so the command waits in its middle.
    @Test func anInterruptedCommitSaysSo() throws {
        try sandbox.write("one", to: "work/src/a")
        try sandbox.expect(0, "commit", "d", "src")
        try #require(mkfifo(sandbox.work + "/src/.dfsignore", 0o600) == 0)
        let program = try sandbox.spawn(["commit", "d", "src"].map { Array($0.utf8) })
        let writer = try OwnedDescriptor.open(sandbox.work + "/src/.dfsignore", O_WRONLY)
        kill(program.process, SIGINT)
        let result = try program.wait()
        #expect(result.code == 130 && result.errorText == "interrupted; nothing was recorded\n", "\(result.errorText)")
        withExtendedLifetime(writer) {}
    }

    @Test func anInterruptedExportLeavesNothing() throws {
        for i in 0..<2000 { try sandbox.write("\(i)", to: "work/src/\(i % 50)/\(i)") }
        try sandbox.expect(0, "commit", "d", "src")
        for attempt in 0..<20 {
            let copy = sandbox.work + "/copy\(attempt)"
            let program = try sandbox.spawn(["export", "d", copy, "-j1"].map { Array($0.utf8) })
            while !Files.exists(copy) { usleep(200) }
            kill(program.process, SIGTERM)
            let result = try program.wait()
            // It was quicker.
            if result.code == 0 { continue }
            #expect(
                result.code == 143 && result.errorText == "interrupted; \(copy) was removed\n", "\(result.errorText)")
            return #expect(!Files.exists(copy))
        }
        Issue.record("never interrupted")
    }

    @Test func ignoredPathsAreCountedAndTheFileItselfIsRecorded() throws {
        try sandbox.write("*.tmp\n/cache/\n.dfsignore\n", to: "work/src/.dfsignore")
        for name in ["a", "b.tmp", "sub/c.tmp", "sub/d", "cache/e", "sub/cache/f"] {
            try sandbox.write("x", to: "work/src/" + name)
        }
        #expect(try sandbox.expect(0, "commit", "d", "src").output.contains(", 3 ignored"))
        let names = try sandbox.expect(0, "ls", "d", "-q").output
        #expect(names == ".dfsignore\na\nsub\n")
        #expect(try sandbox.expect(0, "ls", "d/sub", "-q").output == "cache\nd\n")
        #expect(try sandbox.expect(0, "status", "d").error.contains("3 ignored"))
    }

    @Test func statusSaysWhatACommitWouldRecord() throws {
        try sandbox.commitTwice()
        try sandbox.expect(0, "status", "faces")
        try sandbox.write("other\n", to: "work/src/a.txt")
        try sandbox.write("new", to: "work/src/fresh/x")
        try Files.remove(sandbox.work + "/src/big")
        let before = try Files.read(sandbox.store + "/ledger/000000000/000000000003.json")
        let rows = try sandbox.expect(1, "status", "faces", "--json").rows()
        let found = rows.map { "\($0["change"]?.string ?? "") \($0["path"]?.string ?? "")" }
        #expect(found == ["modified a.txt", "removed big", "added fresh", "added fresh/x"])
        #expect(rows.allSatisfy { $0["schema"] == "dfs.status/1" })
        #expect(try Files.read(sandbox.store + "/ledger/000000000/000000000003.json") == before)
        #expect(!Files.exists(sandbox.store + "/ledger/000000000/000000000004.json"))
        try sandbox.expect(1, "status", "unrecorded", "src")
        try sandbox.expect(2, "status", "faces", "nowhere")
    }

    @Test func aReferenceMakesAVersionWithoutBytes() throws {
        try sandbox.commitTwice()
        let answer = try sandbox.expect(0, "commit", "part", "faces@v1/sub", "--json")
        #expect(try JSONValue.parse(answer.output)["storedBytes"] == 0)
        #expect(try sandbox.expect(0, "cat", "part/b").output == "x\n")
        let shown = try JSONValue.parse(try sandbox.expect(0, "show", "part", "--json").output)
        #expect(shown["record"]?["lineage"]?["reference"] == "faces@v1/sub")
        #expect(try sandbox.expect(0, "commit", "part", "faces@v1/sub").output.contains("no new version"))
        try sandbox.expect(0, "commit", "file", "faces@v1/a.txt")
        #expect(try sandbox.expect(0, "cat", "file/a.txt").output == "hello\n")
        try sandbox.expect(11, "commit", "part", "faces@v9")
        try sandbox.expect(11, "commit", "part", "run:latest/outputs")
        try sandbox.expect(0, "verify", "--data")
        try sandbox.expect(0, "audit", "verify")
    }

    @Test func refusalsNameTheCommandThatHelps() throws {
        try sandbox.commitTwice()
        for name in ["a.txt", "big"] { try Files.remove(sandbox.work + "/src/" + name) }
        let shrink = try sandbox.expect(2, "commit", "faces", "src")
        #expect(shrink.error.contains("hint: dfs commit faces \(sandbox.work)/src --allow-shrink"))
        try sandbox.expect(0, "commit", "faces", "src", "--allow-shrink")
        try #require(mkfifo(sandbox.work + "/src/pipe", 0o600) == 0)
        let special = try sandbox.expect(2, "commit", "faces", "src")
        #expect(special.error.contains("pipe") && special.error.contains("hint: dfs commit faces"))
        let skipped = try sandbox.expect(0, "commit", "faces", "src", "--skip-special")
        #expect(skipped.error.contains("left out 1 special file: pipe"))
        try sandbox.expect(64, "commit", "a/b/c", "src")
        try sandbox.expect(64, "commit", "faces", "src", "--meta", "x")
        try sandbox.expect(64, "commit", "faces", "src", "--tag", "2d")
        try sandbox.expect(2, "commit", "faces", sandbox.root)
    }

    @Test func tagsStandMoveAndGo() throws {
        try sandbox.commitTwice()
        try sandbox.expect(0, "tag", "faces@v1", "old")
        #expect(try sandbox.expect(2, "tag", "faces@v1", "good").error.contains("hint: dfs tag faces@v1 good --move"))
        try sandbox.expect(0, "tag", "faces@v1", "good", "--move")
        let json = try JSONValue.parse(try sandbox.expect(0, "tag", "faces@good", "third", "--json").output)
        #expect(json["schema"] == "dfs.tag/1" && json["version"] == 1)
        try sandbox.expect(0, "tag", "--delete", "faces", "good")
        try sandbox.expect(11, "ls", "faces@good")
        try sandbox.expect(11, "tag", "--delete", "faces", "good")
        try sandbox.expect(64, "tag", "faces", "v7")
        try sandbox.expect(11, "tag", "nothing", "x")
        let run = try sandbox.recordRun(command: ["true"], outcome: .succeeded)
        try sandbox.expect(0, "tag", "run:\(run)", "keep")
        #expect(try sandbox.expect(0, "runs", "--tag", "keep").output.contains(String(run.uuid.digits.suffix(8))))
        try sandbox.expect(0, "tag", "--delete", "run:\(run)", "keep")
    }
}
