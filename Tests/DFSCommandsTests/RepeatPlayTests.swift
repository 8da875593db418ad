import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

extension PlayWithMounts {
    /// `dfs rerun` and `dfs validate`.
    @Suite struct RepeatPlayTests {
        private let stage: Stage

        init() throws {
            stage = try Stage()
            try stage.directory.write("data/x", "1\n2\n3\n")
            try stage.done("commit", "x", stage.directory.sub("data"))
            try stage.directory.write("data/x", "1\n2\n30\n")
            try stage.done("commit", "x", stage.directory.sub("data"))
            try stage.directory.write(
                "project/sum.sh",
                """
                s=$(awk '{s += $1} END {print s}' $DFS_DATA_X/x)
                echo "$s of seed $DFS_SEED with $* in $PWD"
                echo $s > $DFS_OUTPUTS/sum
                echo "{\\"sum\\": $s}" >> $DFS_METRICS
                """)
        }

        private func run(_ arguments: String...) throws {
            let result = try stage.launch("--data", "x@v1", "--", "sh", "sum.sh")
            try #require(result.code == 0, "\(result.errorText)")
        }

        @Test func aRunIsRepeatedAsItWas() throws {
            try stage.directory.write("project/dfs.toml", "[project]\nname = \"summing\"\n")
            try stage.directory.write("project/sub/keep", "")
            let first = try stage.start(
                "dfs-run", ["--data", "x@v1", "--", "sh", "../sum.sh", "an argument", "{data}"],
                in: stage.project + "/sub"
            ).wait()
            try #require(first.code == 0, "\(first.errorText)")
            // The code moves on, and so does the data; the caller is elsewhere.
            try stage.directory.write("project/sum.sh", "exit 1\n")
            let again = try stage.dfs("rerun", "latest", in: stage.home)
            #expect(again.code == 0, "\(again.errorText)")
            #expect(
                again.outputText.filter { !$0.isNewline }
                    == first.outputText.filter { !$0.isNewline }
                    .replacing(try runID(back: 1), with: try runID(back: 0)))
            let shown = try stage.json("show", "latest")
            #expect(shown["record"]?["plan"]?["repeats"]?.string == (try runID(back: 1)))
            #expect(try stage.dfs("diff", "run:\(try runID(back: 1))/outputs", "run:latest/outputs").code == 0)
        }

        /// Of the runs, newest first.
        private func runID(back: Int) throws -> String {
            let lines = try stage.done("runs", "--json").split(separator: "\n")
            return try #require(try JSONValue.parse(Array(lines[back].utf8))["run"]?.string)
        }

        @Test func oneThingIsChanged() throws {
            try run()
            #expect(try stage.dfs("rerun", "latest", "--data", "x=x@v2").outputText.hasPrefix("33 of seed"))
            #expect(try stage.dfs("rerun", "latest", "--seed", "7").outputText.contains("of seed 7 "))
            try stage.directory.write("project/sum.sh", "echo other\n")
            #expect(try stage.launch("--", "sh", "sum.sh").outputText == "other\n")
            let other = try stage.dfs("rerun", try runID(back: 1), "--code", "run:latest")
            #expect(other.code == 0 && other.outputText == "other\n", "\(other.errorText)")
            for (arguments, code) in [
                (["latest", "--data", "y=x@v2"], 11), (["latest", "--data", "nonsense"], 64), (["nobody"], 11),
                (["latest", "--code", "x@v1"], 11),
            ] as [([String], Int32)] {
                let result = try stage.start("dfs", ["rerun"] + arguments).wait()
                #expect(result.code == code, "\(arguments): \(result.errorText)")
                #expect(result.errorText.split(separator: "\n").last?.hasPrefix("hint: ") == true)
            }
        }

        /// The job's own code passes through.
        @Test func theJobsCodePasses() throws {
            #expect(try stage.launch("--", "sh", "-c", "exit 5").code == 5)
            #expect(try stage.dfs("rerun", "latest").code == 5)
        }

        @Test func variablesAreAsTheyWere() throws {
            try stage.directory.write("project/dfs.toml", "[run]\nenv = [\"KNOWN\"]\n")
            let first = try stage.start(
                "dfs-run", ["--", "sh", "-c", "echo $LR $KNOWN"], variables: ["LR": "0.1", "KNOWN": "yes"]
            ).wait()
            #expect(first.outputText == "0.1 yes\n", "\(first.errorText)")
            let id = try runID(back: 0)
            func again(_ arguments: String..., variables: [String: String] = [:]) throws -> SpawnedProgram.Result {
                try stage.start("dfs", ["rerun", id] + arguments, variables: variables).wait()
            }
            let refused = try again()
            #expect(refused.code == 122 && refused.errorText.contains("KNOWN is not set, LR is not set"))
            let lines = refused.errorText.split(separator: "\n")
            #expect(lines.last == "hint: dfs rerun \(id.suffix(8)) --env KNOWN, or: --ignore-env KNOWN")
            #expect(try again(variables: ["LR": "0.2", "KNOWN": "yes"]).errorText.contains("LR is different"))
            #expect(try again("--env", "LR=0.1", "--env", "KNOWN").outputText == "0.1 yes\n")
            #expect(try again("--env", "LR=0.3", "--ignore-env", "KNOWN").outputText == "0.3\n")
            #expect(try again("--ignore-env", "all").code == 0)
            #expect(try again("--env", "=x").code == 64)
            #expect(try again("--env", "LR", "--ignore-env", "all").code == 64, "only its hash is recorded")
            #expect(try again(variables: ["LR": "0.1", "KNOWN": "yes", "NEW": "1"]).code == 0)
            #expect(try stage.done("runs", "-q").split(separator: "\n").count == 5)
        }

        /// Modules from neither the code nor an environment, and packages that change between two runs.
        @Test(.enabled(if: geteuid() == 0 && Stage.canMount)) func modulesFromOutsideComeBack() throws {
            try stage.directory.write("beside/lib/mod.py", "value = 1\n")
            try stage.directory.write(
                "project/use.py", "import mod, os\nopen(os.environ['DFS_OUTPUTS'] + '/it', 'w').write(str(mod.value))\n"
            )
            let path = ["PYTHONPATH": stage.directory.sub("beside/lib")]
            let first = try stage.start("dfs-run", ["--", "/usr/bin/python3", "use.py"], variables: path).wait()
            try #require(first.code == 0, "\(first.errorText)")
            let id = try runID(back: 0)
            func again() throws -> SpawnedProgram.Result {
                try stage.start("dfs", ["rerun", id, "--check"], variables: path).wait()
            }
            #expect(try again().code == 0)
            try stage.directory.write("beside/lib/mod.py", "value = 2\n")
            let changed = try again()
            #expect(changed.code == 0, "\(changed.errorText)")
            try stage.shell("rm -r beside")
            let gone = try again()
            #expect(gone.code == 0, "\(gone.errorText)")
            #expect(!Files.exists(stage.directory.sub("beside")))
        }

        /// As on a machine that never had the project.
        @Test func theProjectIsGone() throws {
            try run()
            let id = try runID(back: 0)
            try stage.shell("mv project away")
            let again = try stage.dfs("rerun", id, "--check", in: stage.home)
            #expect(again.code == 0, "\(again.errorText)")
            #expect(!Files.exists(stage.project))
            try stage.shell("mv away project")
        }

        @Test func aCheckComparesResults() throws {
            try run()
            let id = try runID(back: 0)
            #expect(try stage.dfs("rerun", id, "--check").code == 0)
            let other = try stage.dfs("rerun", id, "--check", "--data", "x=x@v2")
            #expect(other.code == 118 && other.errorText.contains("output sum is different"), "\(other.errorText)")
            #expect(other.errorText.contains("metric sum differs"))
            let before = try stage.done("runs", "-q")
            let report = try stage.dfs("rerun", id, "--report")
            #expect(report.code == 0 && report.outputText.contains("data/x") || report.outputText.contains("x=x@v1"))
            let changed = try stage.start("dfs", ["rerun", id, "--report"], variables: ["OMP_NUM_THREADS": "1"]).wait()
            #expect(changed.code == 1 && changed.outputText.contains("OMP_NUM_THREADS"), "\(changed.outputText)")
            #expect(try stage.done("runs", "-q") == before)
        }

        /// The interpreter's own environment is gone, and comes back from the store.
        @Test func theEnvironmentComesBack() throws {
            try stage.shell("/usr/bin/python3 -m venv --without-pip project/.venv && echo .venv > project/.gitignore")
            try stage.shell(
                "for d in project/.venv/lib/python3*/site-packages; do echo 'value = 41 + 1' > $d/answer.py; done")
            try stage.directory.write(
                "project/ask.py",
                "import answer, os\nopen(os.environ['DFS_OUTPUTS'] + '/it', 'w').write(str(answer.value))\n")
            let first = try stage.start(
                "dfs-run", ["--", ".venv/bin/python", "ask.py"], variables: ["DFS_FREEZE_LIMIT": "2G"]
            ).wait()
            try #require(first.code == 0, "\(first.errorText)")
            let id = try runID(back: 0)
            Stage.eventually("the environment") { try stage.dfs("ls", "run:\(id)/env").code == 0 }
            try stage.shell("mv project/.venv away")
            let again = try stage.dfs("rerun", id, "--check")
            #expect(again.code == 0, "\(again.errorText)")
            // The rerun has the environment too, and so have reruns of it.
            #expect(try stage.done("ls", "-q", "run:latest/env") == stage.done("ls", "-q", "run:\(id)/env"))
            #expect(try stage.dfs("rerun", "latest", "--check").code == 0)
            #expect(!Files.exists(stage.project + "/.venv"))
            // A package that was changed is as it was.
            try stage.shell(
                "mv away project/.venv; for d in project/.venv/lib/python3*/site-packages; do echo 'value = 0' > $d/answer.py; done"
            )
            #expect(try stage.dfs("rerun", id, "--check").code == 0)
            #expect(try stage.dfs("verify").code == 0)
            try stage.expectNothingLeft()
        }

        private func verdict(_ arguments: String...) throws -> (code: Int32, causes: [String], json: JSONValue) {
            let result = try stage.start("dfs", ["validate"] + arguments + ["--json"]).wait()
            let json = try JSONValue.parse(result.output)
            return (result.code, json["verdict"]?["causes"]?.array?.compactMap(\.string) ?? [], json)
        }

        @Test func dataIsNamedAsTheCause() throws {
            try run()
            let id = try runID(back: 0)
            let found = try verdict(id, "--new-data", "x=x@v2")
            #expect(found.code == 1 && found.causes == ["data"], "\(found.json)")
            let tolerant = try verdict(id, "--new-data", "x=x@v2", "--tolerance", "sum=30")
            #expect(tolerant.code == 0, "\(tolerant.json)")
            // What may differ was in the ledger before the first cell ran.
            let entries = try stage.done("audit", "log", "--json").split(separator: "\n").map { String($0) }
            let plan = try #require(entries.firstIndex { $0.contains("run.annotated") })
            let cell = try #require(entries.indices.filter { entries[$0].contains("run.started") }.dropFirst().first)
            #expect(plan < cell)
        }

        /// A directory is captured as it is.
        @Test func aDirectoryIsNewCode() throws {
            try run()
            let id = try runID(back: 0)
            try stage.shell(
                "cp -r project project2; echo 'echo from the other; echo 6 > $DFS_OUTPUTS/sum' > project2/sum.sh")
            let other = try stage.dfs("rerun", id, "--code", stage.directory.sub("project2"))
            #expect(other.code == 0 && other.outputText == "from the other\n", "\(other.errorText)")
        }

        /// A job that writes into its working directory only.
        @Test func workingFilesAreResultsToo() throws {
            try #require(try stage.launch("--data", "x@v1", "--", "sh", "-c", "cp {data:x}/x copy").code == 0)
            let id = try runID(back: 0)
            #expect(try stage.dfs("rerun", id, "--check").code == 0)
            #expect(try stage.dfs("rerun", id, "--check", "--data", "x=x@v2").code == 118)
            #expect(try verdict(id, "--new-data", "x=x@v2").causes == ["data"])
        }

        @Test func codeIsNamedAsTheCause() throws {
            try run()
            let id = try runID(back: 0)
            try stage.directory.write(
                "project/sum.sh", "echo '{\"sum\": 8}' >> $DFS_METRICS; echo 8 > $DFS_OUTPUTS/sum\n")
            try #require(try stage.launch("--", "sh", "sum.sh").code == 0)
            let found = try verdict(id, "--new-code", "run:latest", "--new-data", "x=x@v1")
            #expect(found.code == 1 && found.causes == ["code"], "\(found.json)")
            try stage.directory.write("project/sum.sh", "exit 3\n")
            #expect(try stage.launch("--", "sh", "sum.sh").code == 3)
            let broken = try verdict(id, "--new-code", "run:latest")
            #expect(broken.code == 1 && broken.causes == ["code"], "\(broken.json)")
        }

        @Test func nondeterminismIsInconclusive() throws {
            let script =
                "od -An -N4 -tu4 /dev/urandom | awk '{print \"{\\\"loss\\\": \" $1 / 4294967296 \"}\"}' >> $DFS_METRICS"
            try #require(try stage.launch("--data", "x@v1", "--", "sh", "-c", script).code == 0)
            let id = try runID(back: 0)
            #expect(try verdict(id, "--new-data", "x=x@v2").code == 3)
            #expect(try verdict(id, "--tolerance", "loss=2").code == 0)
            // Without metrics the outputs are compared.
            try #require(
                try stage.launch("--", "sh", "-c", "head -c 9 /dev/urandom > $DFS_OUTPUTS/x").code == 0)
            #expect(try verdict("latest").code == 3)
        }

        @Test func whatCannotBeValidated() throws {
            #expect(try stage.launch("--", "false").code == 1)
            for (arguments, code) in [
                (["latest"], 2), (["latest", "--repeat", "1"], 64), (["latest", "--tolerance", "acc"], 64),
            ] as [([String], Int32)] {
                let result = try stage.start("dfs", ["validate"] + arguments).wait()
                #expect(result.code == code, "\(arguments): \(result.errorText)")
            }
            try run()
            #expect(try stage.launch("--", "true").code == 0)
            #expect(try stage.dfs("validate", "latest").errorText.contains("left nothing to compare"))
            try run()
            #expect(try stage.dfs("validate", "latest", "--tolerance", "acc=1").code == 11)
            #expect(try stage.dfs("validate", "latest", "--plan").code == 0)
            #expect(try stage.done("runs", "-q").split(separator: "\n").count == 4)
        }
    }
}
