import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

extension PlayWithMounts {
    /// `dfs code`, and runs with several roots.
    @Suite struct CodePlayTests {
        private let stage: Stage

        init() throws { stage = try Stage() }

        // MARK: Snapshots

        @Test func byHand() throws {
            try stage.directory.write("project/a.py", "1\n")
            let first = try stage.json("code", "snapshot")
            #expect(first["new"] == true && first["project"] == "project" && first["files"] == 1)
            #expect(try stage.json("code", "snapshot")["new"] == false)
            try stage.directory.write("project/a.py", "2\n")
            try stage.directory.write("project/sub/b.py", "3\n")
            // From inside, the same project.
            try stage.shell("git init -q", in: stage.project)
            let second = try JSONValue.parse(
                stage.start("dfs", ["code", "snapshot", "--json"], in: stage.project + "/sub").wait().output)
            #expect(second["added"] == 1 && second["modified"] == 1 && second["removed"] == 0)
            let lines = try stage.done("code", "log", "--json").split(separator: "\n")
            let log = try lines.map { try JSONValue.parse(Array($0.utf8)) }
            #expect(log.map { $0["snapshot"] } == [second["snapshot"], first["snapshot"]])
            #expect(log[0]["added"] == 1 && log[1]["added"] == nil)
            #expect(try stage.done("code", "log", "-n", "1").split(separator: "\n").count == 2)
            let old = try #require(first["reference"]?.string), new = try #require(second["reference"]?.string)
            let diff = try stage.dfs("diff", old, new, "--name-only")
            #expect(diff.code == 1 && Set(diff.outputText.split(separator: "\n")) == ["a.py", "sub", "sub/b.py"])
            #expect(try stage.dfs("code", "log", "nothing").code == 11)
            #expect(try stage.dfs("code", "snapshot", "nowhere").code == 11)
        }

        @Test func theDifferenceOfTwoRuns() throws {
            try stage.directory.write("project/a.py", "1\n")
            try stage.directory.write("project/b.py", "1\n")
            #expect(try stage.launch("--tag", "one", "--", "true").code == 0)
            try stage.directory.write("project/a.py", "2\n")
            #expect(try stage.launch("--tag", "two", "--", "true").code == 0)
            let runs = try stage.done("runs", "--json").split(separator: "\n").map { line in
                try #require(try JSONValue.parse(Array(line.utf8))["run"]?.string)
            }
            let diff = try stage.dfs("diff", "run:\(runs[1])/code", "run:\(runs[0])/code")
            #expect(diff.code == 1 && diff.outputText.contains("a.py") && !diff.outputText.contains("b.py"))
        }

        // MARK: Watching

        @Test func everyChangeIsRecorded() throws {
            try stage.directory.write("project/a.py", "1\n")
            try stage.directory.write("project/.gitignore", "*.log\n")
            try stage.shell("git init -q", in: stage.project)
            let watch = try stage.start("dfs", ["code", "watch", "--json"])
            func snapshots() throws -> Int {
                guard try stage.dfs("code", "log").code == 0 else { return 0 }
                return try stage.done("code", "log", "--quiet").split(separator: "\n").count
            }
            Stage.eventually("the first") { try snapshots() == 1 }
            try stage.directory.write("project/new/deep/b.py", "2\n")
            Stage.eventually("what is in new directories") { try snapshots() == 2 }
            try stage.directory.write("project/x.log", "ignored\n")
            try stage.directory.write("project/new/deep/b.py", "3\n")
            Stage.eventually("what changed") { try snapshots() == 3 }
            // A secret is not recorded; once it is gone, all goes on.
            try stage.directory.write("project/key.py", "key = '\(Canary.gitHub)'\n")
            usleep(2_500_000)
            #expect(try snapshots() == 3)
            try stage.shell("rm key.py; rm -r new; echo 4 > a.py", in: stage.project)
            Stage.eventually("what came after") { try snapshots() == 4 }
            // What is as it once was is told of, and recorded already.
            try stage.directory.write("project/a.py", "5\n")
            Stage.eventually("another change") { try snapshots() == 5 }
            try stage.directory.write("project/a.py", "4\n")
            usleep(3_000_000)
            #expect(try snapshots() == 5)
            kill(watch.process, SIGTERM)
            let result = try watch.wait()
            #expect(result.code == 0, "\(result.errorText)")
            let lines = result.outputText.split(separator: "\n")
            #expect(lines.count == 6, "\(lines)")
            #expect(result.errorText.contains("key.py:1: github-token"))
            #expect(try stage.done("ls", "code:project", "--quiet").split(separator: "\n") == [".gitignore", "a.py"])
            #expect(try stage.shell("ls store/tmp").isEmpty)
            try stage.done("verify")
        }

        @Test func aDirectoryThatGoesAway() throws {
            try stage.directory.write("gone/a", "1\n")
            let watch = try stage.start("dfs", ["code", "watch", stage.directory.sub("gone")])
            Stage.eventually("the first") { try stage.dfs("code", "log", "gone").code == 0 }
            try stage.shell("rm -r gone")
            #expect(try watch.wait().code == 11)
        }

        // MARK: Several roots

        @Test func aLibraryBeside() throws {
            try stage.directory.write("library/mine/mod.sh", "echo frozen\n")
            try stage.directory.write("library/.gitignore", "build\n")
            try stage.directory.write("library/build/made", "built here\n")
            try stage.shell("git init -q", in: stage.directory.sub("library"))
            let library = stage.directory.sub("library")
            let script = """
                . \(library)/mine/mod.sh; cat \(library)/build/made; echo w > \(library)/written; cat \(library)/written
                echo no 2> /dev/null > \(library)/build/made || echo read-only
                """
            let before = try stage.fingerprint(library)
            let result = try stage.launch("--code", "../library", "--", "sh", "-c", script)
            #expect(result.code == 0, "\(result.errorText)")
            #expect(result.outputText == "frozen\nbuilt here\nw\nread-only\n")
            #expect(result.errorText.contains(", library@"))
            #expect(try stage.fingerprint(library) == before)
            let record = try stage.json("cat", "run:latest/record.json")
            #expect(record["plan"]?["roots"]?.array?.first?["project"] == "library")
            #expect(record["text"]?["root-directories"] == [.string(library)])
            let written = record["result"]?["roots-written"]?.array?.first
            #expect(written?["count"] == 1 && written?["files"]?.array?.first?["path"] == "written")
            #expect(try stage.done("show", "run:latest").contains("code:library@"))
            // The library as it was, whatever becomes of it.
            try stage.directory.write("library/mine/mod.sh", "echo later\n")
            #expect(try stage.done("cat", "code:library/mine/mod.sh") == "echo frozen\n")
            let again = try stage.dfs("rerun", "run:latest")
            #expect(again.code == 0 && again.outputText.hasPrefix("frozen\n"), "\(again.outputText)\(again.errorText)")
            for path in [".", "sub", "../nowhere"] {
                if path == "sub" { try stage.directory.write("project/sub/x", "x\n") }
                let refused = try stage.launch("--code", path, "--", "true")
                #expect(refused.code == (path == "../nowhere" ? 11 : 64), "\(refused.errorText)")
            }
            // A secret in a root stops the run too.
            try stage.directory.write("library/key", Canary.privateKey)
            #expect(try stage.launch("--code", "../library", "--", "true").code == 122)
            try stage.expectNothingLeft()
        }

        /// The project lies in a repository that is a root itself; what is nearest counts.
        @Test func aRootAround() throws {
            try stage.directory.write("mono/project/a", "a\n")
            try stage.directory.write("mono/shared/b", "b\n")
            try stage.directory.write("mono/.gitignore", "project\n")
            try stage.shell("git init -q", in: stage.directory.sub("mono"))
            let result = try stage.start(
                "dfs-run", ["--code", "..", "--", "sh", "-c", "cat a ../shared/b; echo w > new; ls"],
                in: stage.directory.sub("mono/project")
            ).wait()
            #expect(
                result.code == 0 && result.outputText == "a\nb\na\nnew\n", "\(result.outputText)\(result.errorText)")
            #expect(try stage.done("cat", "run:latest/work/new") == "w\n")
        }
    }
}
