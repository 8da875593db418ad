import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

extension PlayWithMounts {
    /// What `dfs-run` refuses before anything starts, keeps out of the code, and ends before it records.
    @Suite struct RunGuardPlayTests {
        private let stage: Stage

        init() throws {
            stage = try Stage()
            try stage.directory.write("data/x", "frozen\n")
            try stage.done("commit", "x", stage.directory.sub("data"))
            try stage.directory.write("project/train.sh", "echo trained\n")
        }

        private func refused(
            _ code: Int32, _ what: String, _ arguments: String..., in place: String? = nil,
            location: SourceLocation = #_sourceLocation
        ) throws {
            let result = try stage.start("dfs-run", arguments, in: place).wait()
            #expect(result.code == code, "\(arguments): \(result.errorText)", sourceLocation: location)
            let lines = result.errorText.split(separator: "\n")
            #expect(
                lines.contains { $0.hasPrefix("error: ") && $0.contains(what) }, "\(lines)", sourceLocation: location)
            #expect(lines.last?.hasPrefix("hint: ") == true, "\(lines)", sourceLocation: location)
            let runs = try stage.done("runs", "--all-users", "--json")
            #expect(runs.isEmpty, "\(runs)", sourceLocation: location)
        }

        @Test func whatTheJobLeavesBehindIsEnded() throws {
            let follow = "tail -f \(stage.project)/train.sh >> $DFS_OUTPUTS/followed"
            let result = try stage.launch("--", "sh", "-c", "(setsid \(follow) &); echo bg")
            #expect(result.code == 0 && result.outputText == "bg\n", "\(result.errorText)")
            let shown = try stage.json("show", "latest")
            #expect(shown["record"]?["result"]?["child"]?["orphans"]?.array?.count ?? 0 >= 1)
            try stage.expectNothingLeft()

            let job = try stage.start("dfs-run", ["--", "sh", "-c", "echo up > $DFS_OUTPUTS/up; \(follow); true"])
            Stage.eventually("the job") {
                try stage.shell("ls store/live/*/outputs 2>/dev/null || true").contains("followed")
            }
            kill(job.process, SIGTERM)
            #expect(try job.wait().code == 128 + SIGTERM)
            try stage.expectNothingLeft()
        }

        @Test func aDirectoryThatIsGone() throws {
            let gone = stage.directory.sub("gone")
            func answer(_ program: String, _ arguments: String) throws -> String {
                try stage.shell(
                    "mkdir \(gone); cd \(gone); rmdir \(gone); \(SpawnedProgram.products)/\(program) \(arguments) 2>&1 || echo $?"
                )
            }
            let error = "error: the working directory no longer exists\nhint: cd \(stage.home)\n"
            #expect(try answer("dfs", "commit y src") == error + "2")
            #expect(try answer("dfs", "export x there") == error + "2")
            #expect(try answer("dfs-run", "true") == error + "125")
            #expect(try answer("dfs", "cat x/x") == "frozen")
            #expect(try answer("dfs", "export --quiet x \(gone)-copy").contains("gone-copy"))
        }

        @Test func whatIsNoProject() throws {
            for place in ["/", "/usr", "/etc", stage.home] {
                try refused(64, "\(place) is no project", "true", in: place)
            }
            try refused(64, "is no project", "true", in: stage.store + "/packs")
            try refused(64, "is no project", "true", in: stage.home + "/config/dfs")
        }

        /// The project holds the store, the key, the caches and a mount: none of them is code.
        @Test func whatIsNobodysCode() throws {
            try stage.directory.write("train.sh", "echo trained\n")
            let mount = stage.directory.sub("mnt")
            try stage.mounted { _ in
                let result = try stage.launch("--", "sh", "train.sh", in: stage.directory.path)
                #expect(result.code == 0 && result.outputText == "trained\n", "\(result.errorText)")
                let listed = try stage.done("ls", "-q", "run:latest/code").split(separator: "\n")
                #expect(listed.contains("train.sh") && listed.contains("project"), "\(listed)")
                #expect(!listed.contains("store") && !listed.contains("mnt"), "\(listed)")
            }
            #expect(Files.isDirectory(mount))
            #expect(try stage.dfs("ls", "run:latest/code/home/config/dfs").code == 11)
            #expect(try stage.dfs("ls", "run:latest/code/home/cache/dfs").code == 11)
            let name = try #require(stage.directory.path.split(separator: "/").last)
            let shown = try stage.json("show", "code:\(name)")
            let reasons = shown["record"]?["left-out"]?.array?.compactMap { $0["reason"]?.string } ?? []
            #expect(Set(reasons) == ["store", "key", "cache", "mount"], "\(reasons)")
        }

        @Test func sourcesThatAreOurs() throws {
            let inside = try stage.dfs("commit", "y", stage.store + "/packs")
            #expect(inside.code == 2 && inside.errorText.contains("lies in the store"), "\(inside.errorText)")
            let home = try stage.dfs("commit", "y", stage.home)
            #expect(home.code == 2 && home.errorText.contains("holds your signing key"), "\(home.errorText)")
            // The hint is the remedy.
            let hint = try #require(home.errorText.split(separator: "\n").last?.dropFirst("hint: ".count))
            try stage.shell(String(hint))
            try stage.done("commit", "y", stage.home)
            #expect(try stage.dfs("ls", "y/config/dfs").code == 11)
        }

        @Test func whatARunLeftOutIsSaid() throws {
            try stage.directory.write("project/dfs.toml", "[run]\nmax-file = \"100 B\"\n")
            let script = "mkfifo $DFS_OUTPUTS/pipe fifo; head -c 200 /dev/zero > large; echo small > small"
            let result = try stage.launch("--data", "x@latest", "--", "sh", "-c", script)
            let lines = result.errorText.split(separator: "\n")
            #expect(lines.first?.hasPrefix("x@latest = x@v1, recorded ") == true, "\(lines)")
            #expect(
                lines.last?.contains("; left out: 1 file above 100 B, 2 special files; ") == true,
                "\(lines)")
            let shown = try stage.done("show", "latest")
            #expect(shown.contains("outputs special files left out  1: pipe"), "\(shown)")
            #expect(shown.contains("1: large (200 B)"), "\(shown)")

            // What the job removes from the project is no special file.
            let removed = try stage.launch("--", "sh", "-c", "rm train.sh; echo new > new")
            #expect(removed.errorText.contains("work 1 file, 4 B, 1 removed"), "\(removed.errorText)")
            let result2 = try stage.json("show", "latest")["record"]?["result"]
            #expect(result2?["work-deleted"]?["paths"] == ["train.sh"], "\(result2 ?? .null)")
        }

        /// Of the first three descriptors some are closed: what the program opens does not take their place.
        @Test(arguments: ["2>&-", ">&-", "<&- >&- 2>&-"]) func closedStreams(_ closed: String) throws {
            let run = "\(SpawnedProgram.products)/dfs-run -- sh -c 'echo said; echo kept > $DFS_OUTPUTS/o; exit 3'"
            #expect(
                try stage.shell("{ \(run); } \(closed) || echo $? > code; cat code", in: stage.project).hasSuffix("3"))
            #expect(try stage.done("cat", "run:latest/logs/stdout", "run:latest/outputs/o") == "said\nkept\n")
        }

        @Test func optionsThatDoNotExist() throws {
            try refused(64, "there is no option --bogus", "--bogus", "true")
            try refused(64, "there is no option --dat", "--dat", "x", "--", "true")
            #expect(try stage.launch("--", "--odd").errorText.contains("command not found: --odd"))
        }

        @Test func dataThatCannotBe() throws {
            for option in ["/=x", "/deepops=x", "/deepops/self=x", "=x", "..=x", "/mnt/../=x"] {
                try refused(64, "--data \(option) cannot be used", "--data", option, "--", "true")
            }
            try refused(64, "there is no data nope", "--data", "x", "--", "cat", "a={data:nope}/f")
            try refused(64, "2d cannot be a tag", "--tag", "2d", "--", "true")
        }
    }
}
