import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

extension PlayWithMounts {
    /// `dfs-run` as its user meets it.
    @Suite struct RunPlayTests {
        private let stage: Stage

        init() throws { stage = try Stage() }

        /// A dataset `x` with the file `x`, and a project whose script knows nothing of this program.
        private func prepare() throws {
            try stage.directory.write("data/x", "frozen\n")
            try stage.done("commit", "x", stage.directory.sub("data"))
            try stage.directory.write(
                "project/train.sh", "cat ./data/x/x\necho trained on $(cat data/x/x) > model.txt\n")
        }

        /// What `dfs-run` did, and the mount in which its run is looked at.
        private func run(_ arguments: String..., location: SourceLocation = #_sourceLocation) throws
            -> SpawnedProgram.Result
        {
            let result = try stage.start("dfs-run", arguments).wait()
            try #require(result.code == 0, "\(result.outputText)\(result.errorText)", sourceLocation: location)
            return result
        }

        // MARK: The main flow

        @Test func aScriptThatKnowsNothingOfThis() throws {
            try prepare()
            let before = try stage.fingerprint(stage.project)
            let result = try run("--data", "./data/x=x", "--note", "first try", "--", "sh", "train.sh")
            #expect(result.outputText == "frozen\n")
            #expect(try stage.fingerprint(stage.project) == before)
            let lines = result.errorText.split(separator: "\n")
            #expect(lines.count == 2, "\(result.errorText)")
            #expect(lines.first?.contains("code project@") == true && lines.first?.contains("data x@v1") == true)
            #expect(lines.last?.contains("work 1 file") == true, "\(result.errorText)")
            // The last line names a command that can be run.
            let command = try #require(lines.last?.split(separator: ";").last)
            #expect(command.hasPrefix(" dfs show run:"))
            let shown = try stage.done("show", String(command.dropFirst(" dfs show ".count)))
            #expect(shown.contains("first try") && shown.contains("succeeded"), "\(shown)")
            #expect(try stage.done("cat", "run:latest/work/model.txt") == "trained on frozen\n")
            try stage.mounted { mount in
                let folder = mount + "/runs/latest"
                #expect(try stage.text(folder + "/work/model.txt") == "trained on frozen\n")
                #expect(try stage.text(folder + "/logs/stdout") == "frozen\n")
                #expect(try stage.text(folder + "/logs/stderr").isEmpty)
                #expect(try stage.text(folder + "/data/x/x") == "frozen\n")
                #expect(try stage.text(folder + "/status").hasPrefix("succeeded"))
                #expect(try stage.shell("diff -r \(folder)/code/ \(stage.project) && echo same") == "same")
                let record = try JSONValue.parse(try #require(try Files.read(folder + "/record.json")))
                #expect(record["status"] == "succeeded" && record["result"]?["exit"]?.integer == 0)
                #expect(record["result"]?["served"] == (Stage.canSeal ? "sealed" : "fuse"))
                #expect(record["text"]?["arguments"] == ["sh", "train.sh"])
                let host = try JSONValue.parse(try #require(try Files.read(folder + "/host.json")))
                #expect(host["stable"] != nil && host["job"] != nil && host["volatile"] != nil)
            }
            try stage.expectNothingLeft()
        }

        @Test func whatTheJobIsTold() throws {
            try prepare()
            let script = """
                printf '%s\\n' "$1" "$2" "$3" "$4"; cat "$1/x"; echo out > "$2/result"
                cat /deepops/self/data/x/x "$DFS_DATA/x/x" "$DFS_DATA_X/x"; echo more > "$DFS_OUTPUTS/more"
                echo self > /deepops/self/outputs/self; echo seed=$DFS_SEED id=$DFS_RUN_ID
                ls "$DFS_CODE"; pwd; [ "$(readlink -f /deepops/self)" = "$DFS_RUN_DIR" ] && echo is-self
                echo '{"step":1,"loss":0.5}' >> "$DFS_METRICS"; echo '{"step":2,"loss":0.25}' >> "$DFS_METRICS"
                echo $HDF5_USE_FILE_LOCKING; ls /deepops
                """
            let result = try run(
                "--data", "x", "--seed", "7", "--", "sh", "-ec", script, "sh", "{data:x}", "{outputs}", "{run}", "{{x}")
            let lines = result.outputText.split(separator: "\n").map(String.init)
            try #require(lines.count >= 14, "\(result.outputText)\(result.errorText)")
            let id = lines[2]
            #expect(lines[0] == "/deepops/runs/\(id)/data/x" && lines[1] == "/deepops/runs/\(id)/outputs")
            #expect(lines[3] == "{x}")
            #expect(Array(lines[4...7]) == ["frozen", "frozen", "frozen", "frozen"])
            #expect(lines[8] == "seed=7 id=\(id)")
            #expect(lines[9] == "train.sh" && lines[10] == stage.project && lines[11] == "is-self")
            #expect(lines[12] == "FALSE")
            #expect(Set(lines[13...]).isSuperset(of: ["code", "datasets", "runs", "self"]), "\(lines)")
            #expect(!Files.exists("/deepops/self"))
            try stage.mounted { mount in
                let folder = "\(mount)/runs/\(id)"
                #expect(try stage.text(folder + "/outputs/result") == "out\n")
                #expect(try stage.shell("ls \(folder)/outputs") == "more\nresult\nself")
                let metrics = try stage.text(folder + "/metrics.jsonl").split(separator: "\n")
                #expect(metrics == [#"{"step":1,"loss":0.5}"#, #"{"step":2,"loss":0.25}"#])
            }
        }

        @Test func bracesCanBeLeftAlone() throws {
            try prepare()
            let result = try run("--no-expand", "--data", "x", "--", "echo", "{data}", "{{", "{other}")
            #expect(result.outputText == "{data} {{ {other}\n")
            #expect(try run("--data", "x", "--", "echo", "{other}", "a{b").outputText == "{other} a{b\n")
        }

        @Test func dataAppearsWhereNothingIs() throws {
            try prepare()
            let place = "/mnt/dfs-absent-" + Randomness.hex(bytes: 4)
            let outside = stage.directory.sub("not/yet/there")
            let result = try run(
                "--data", place + "/x=x", "--data", outside + "=x", "--", "cat", place + "/x/x", outside + "/x")
            #expect(result.outputText == "frozen\nfrozen\n")
            #expect(!Files.exists(place) && !Files.exists(stage.directory.sub("not")))
        }

        @Test func dataIsReadOnlyAndTheRealDataUnseen() throws {
            try prepare()
            try stage.directory.write("project/data/x/x", "real\n")
            try stage.directory.write("project/data/x/only-real", "real\n")
            let result = try stage.launch(
                "--data", "./data/x=x", "--", "sh", "-c", "cat data/x/x; ls data/x; echo w > data/x/x; echo $?")
            #expect(result.outputText.hasPrefix("frozen\nx\n"))
            #expect(!result.outputText.hasSuffix("\n0\n"))
            #expect(result.errorText.contains("Read-only file system"))
            #expect(try stage.text(stage.project + "/data/x/x") == "real\n")
            // The data is the dataset's, not the code's.
            #expect(try stage.dfs("cat", "run:latest/code/data/x/only-real").code != 0)
        }

        // MARK: Projects

        @Test func gitProjects() throws {
            try prepare()
            try stage.shell(
                "git init -q; git -c user.name=n -c user.email=e commit -q --allow-empty -m m; printf '.venv\\nbig\\n' > .gitignore; git add .; "
                    + "git -c user.name=n -c user.email=e commit -q -m all; echo '# edited' >> train.sh; echo u > untracked",
                in: stage.project)
            try stage.directory.write("project/.venv/bin/tool", "#!/bin/sh\necho from the environment\n", mode: 0o755)
            try stage.directory.write("project/big", "ignored\n")
            let before = try stage.fingerprint(stage.project)
            let script = """
                .venv/bin/tool; cat big; tail -n 1 train.sh; cat untracked; cd sub 2>/dev/null || mkdir sub
                echo no > .venv/new || echo read-only; echo work > sub/made; echo scratch > big2; rm untracked
                """
            let result = try run("--data", "./data/x=x", "--", "sh", "-c", script)
            #expect(result.outputText == "from the environment\nignored\n# edited\nu\nread-only\n")
            #expect(result.errorText.contains("(1 modified, 1 untracked)"), "\(result.errorText)")
            #expect(try stage.fingerprint(stage.project) == before)
            try stage.mounted { mount in
                let folder = mount + "/runs/latest"
                #expect(try stage.text(folder + "/work/sub/made") == "work\n")
                #expect(!Files.exists(folder + "/code/.venv") && !Files.exists(folder + "/code/big"))
                #expect(!Files.exists(folder + "/code/.git"))
                #expect(try stage.text(folder + "/code/untracked") == "u\n")
                let record = try JSONValue.parse(try #require(try Files.read(folder + "/record.json")))
                #expect(record["plan"]?["git"] != nil)
            }
            let strict = try run("--strict", "--", "sh", "-c", "ls -A")
            #expect(!strict.outputText.contains(".venv"))
        }

        @Test func fromASubdirectory() throws {
            try prepare()
            try stage.shell("git init -q; mkdir -p a/b; echo in > a/b/f", in: stage.project)
            let result = try stage.launch(
                "--data", "data=x", "--", "sh", "-c", "pwd; cat f ../../train.sh > copy; wc -l < copy",
                in: stage.project + "/a/b")
            #expect(result.code == 0, "\(result.errorText)")
            #expect(result.outputText == "\(stage.project)/a/b\n3\n")
            #expect(try stage.done("cat", "run:latest/work/a/b/copy").hasPrefix("in\n"))
            #expect(!Files.exists(stage.project + "/a/b/copy"))
        }

        /// An editable install names the project's absolute path; what is imported from there is the snapshot, whatever
        /// happens to the real file meanwhile.
        @Test(.enabled(if: Files.exists("/usr/bin/python3"))) func anEditableInstallImportsTheSnapshot() throws {
            try stage.directory.write("project/src/mine.py", "value = 'snapshot'\n")
            try stage.directory.write("project/.gitignore", ".venv\n__pycache__\n")
            try stage.directory.write("project/.venv/lib/site/mine.pth", stage.project + "/src\n")
            try stage.directory.write(
                "project/train.py",
                """
                import os, site, sys, time
                site.addsitedir(os.path.join(os.path.dirname(os.path.abspath(__file__)), '.venv/lib/site'))
                open(os.path.join(os.environ['DFS_OUTPUTS'], 'waiting'), 'w').close()
                sys.stdin.readline()
                import mine
                print(mine.value, mine.__file__)
                open('model.txt', 'w').write(mine.value)
                """)
            try stage.shell("git init -q", in: stage.project)
            var ends: [Int32] = [-1, -1]
            try #require(pipe(&ends) == 0)
            // The other end must not be inherited, or the job would never see an end.
            _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
            let job = try stage.start("dfs-run", ["--", "/usr/bin/python3", "train.py"], input: ends[0])
            close(ends[0])
            Stage.eventually("the job") {
                try stage.shell("ls store/live/*/outputs 2>/dev/null || true").contains("waiting")
            }
            try stage.directory.write("project/src/mine.py", "value = 'edited'\n")
            #expect(write(ends[1], "go\n", 3) == 3)
            close(ends[1])
            let result = try job.wait()
            #expect(result.code == 0, "\(result.errorText)")
            #expect(result.outputText == "snapshot \(stage.project)/src/mine.py\n")
            #expect(try stage.done("cat", "run:latest/work/model.txt") == "snapshot")
            #expect(try stage.text(stage.project + "/src/mine.py") == "value = 'edited'\n")
            #expect(!Files.exists(stage.project + "/src/__pycache__") && !Files.exists(stage.project + "/model.txt"))
        }

        /// Directories first, and what does not show is said; what is too large to record shows like the ignored.
        @Test func whatIsLeftOutShowsWithinLimits() throws {
            try prepare()
            try stage.shell(
                """
                printf '*.log\\nzz\\n' > .gitignore; printf '[run]\\nmax-file = "1 KiB"\\n' > dfs.toml
                i=0; while [ $i -lt 600 ]; do : > f$i.log; i=$((i + 1)); done
                mkdir zz; echo deep > zz/f; head -c 2000 /dev/zero > big
                """, in: stage.project)
            let result = try run("--", "sh", "-c", "cat zz/f; ls | grep -c log")
            #expect(result.outputText == "deep\n510\n")
            #expect(result.errorText.contains("warning: 90 ignored paths"), "\(result.errorText)")
            try stage.shell("rm *.log", in: stage.project)
            let few = try run("--", "sh", "-c", "wc -c < big")
            #expect(few.outputText == "2000\n" && !few.errorText.contains("warning"), "\(few.errorText)")
            #expect(try stage.dfs("cat", "run:latest/code/big").code != 0)
        }

        @Test func bytesInTheEnvironmentReachTheJob() throws {
            try prepare()
            try stage.shell(
                """
                ODD=$(printf 'a\\377b') \(SpawnedProgram.products)/dfs-run -- sh -c 'printf %s "$ODD" > $DFS_OUTPUTS/o'
                """, in: stage.project)
            #expect(try stage.dfs("cat", "run:latest/outputs/o").output == [0x61, 0xff, 0x62])
        }

        @Test func keysThatShareAVariable() throws {
            try prepare()
            let result = try stage.launch("--data", "a-b=x", "--data", "a_b=x", "--", "true")
            #expect(result.code == 64 && result.errorText.contains("DFS_DATA_A_B"), "\(result.errorText)")
        }

        /// The real directory is the job's: nothing is made in it, and it is not replaced by something read-only.
        @Test func inPlaceWithDataWhereNothingIs() throws {
            try prepare()
            let refused = try stage.launch("--in-place", "--data", "./missing/x=x", "--", "true")
            #expect(refused.code == 123, "\(refused.errorText)")
            #expect(refused.errorText.contains("hint: mkdir -p \(stage.project)/missing/x"), "\(refused.errorText)")
            #expect(!Files.exists(stage.project + "/missing"))
            try Files.makeDirectories(stage.project + "/missing/x")
            let result = try run("--in-place", "--data", "./missing/x=x", "--", "sh", "-c", "cat missing/x/x; : > new")
            #expect(result.outputText == "frozen\n" && Files.exists(stage.project + "/new"))
        }

        @Test func inPlace() throws {
            try prepare()
            let result = try run("--in-place", "--", "sh", "-c", "echo real > model.txt; pwd")
            #expect(result.outputText == stage.project + "\n")
            #expect(try stage.text(stage.project + "/model.txt") == "real\n")
            try stage.mounted { mount in
                let record = try JSONValue.parse(try #require(try Files.read(mount + "/runs/latest/record.json")))
                #expect(record["plan"]?["in-place"] == true)
                #expect(record["result"]?["working-directory"] == "in-place")
            }
        }

        // MARK: Ends

        @Test(
            arguments: [
                ("exit 3", 3, "failed"), ("kill -TERM $$", 143, "interrupted"), ("kill -SEGV $$", 139, "failed"),
            ] as [(String, Int32, String)])
        func theJobsCodeIsTheAnswer(_ script: String, _ code: Int32, _ status: String) throws {
            try prepare()
            let result = try stage.launch("--", "sh", "-c", "echo kept > $DFS_OUTPUTS/o; echo said; " + script)
            #expect(result.code == code, "\(result.errorText)")
            #expect(result.outputText == "said\n")
            #expect(result.errorText.contains("(exit \(code)"))
            #expect(try stage.done("cat", "run:latest/outputs/o") == "kept\n")
            #expect(try stage.json("show", "latest")["status"]?.string == status)
            try stage.expectNothingLeft()
        }

        @Test func commandsThatCannotRun() throws {
            try prepare()
            let absent = try stage.launch("--", "no-such-command-here")
            #expect(absent.code == 127 && absent.errorText.contains("error: command not found: no-such-command-here"))
            let path = try stage.launch("--", "./absent")
            #expect(path.code == 127 && path.errorText.contains("there is no such file"), "\(path.errorText)")
            let plain = try stage.launch("--", "./train.sh")
            #expect(plain.code == 126 && plain.errorText.contains("error: cannot run ./train.sh"), "\(plain.errorText)")
            let none = try stage.launch("--")
            #expect(none.code == 64 && none.errorText.contains("hint: dfs-run"), "\(none.code) \(none.errorText)")
            let data = try stage.launch("--data", "nothing", "--", "true")
            #expect(data.code == 11 && data.errorText.contains("nothing"), "\(data.code) \(data.errorText)")
            let version = try stage.launch("--data", "x@v9", "--", "true")
            #expect(version.code == 11 && version.errorText.contains("hint: "), "\(version.code) \(version.errorText)")
            try stage.expectNothingLeft()
            #expect(try DirectoryListing.names(of: stage.store + "/live").isEmpty)
        }

        @Test func standardInputIsTheJobs() throws {
            try prepare()
            try stage.directory.write("input", "a\nb\nc\n")
            let input = try OwnedDescriptor.open(stage.directory.sub("input"), O_RDONLY)
            let result = try stage.start("dfs-run", ["--", "wc", "-l"], input: input.raw).wait()
            #expect(result.code == 0 && result.outputText == "3\n", "\(result.errorText)")
        }

        /// Another one takes its place. Without a supervisor the job loses its data; the run is sealed all the same, and
        /// nothing stays mounted. What the kernel has cached goes on being served, so the job asks for names that it has not
        /// asked for before.
        @Test func aServerThatDiesTakesNothingWithIt() throws {
            try prepare()
            let script = """
                echo before > $DFS_OUTPUTS/o; echo up > $DFS_OUTPUTS/up; i=0
                until [ -e $DFS_OUTPUTS/killed ]; do sleep 0.05; done
                ls /deepops/self/data/x/absent 2>&1 | grep -o 'No such file' > $DFS_OUTPUTS/served
                until ls /deepops/self/data/x/absent-$i 2>&1 | grep -q 'not connected'; do i=$((i + 1)); sleep 0.05; done
                echo after >> $DFS_OUTPUTS/o; exit 5
                """
            let job = try stage.start("dfs-run", ["--serve", "fuse", "--data", "x", "--", "sh", "-c", script])
            Stage.eventually("the job") {
                try stage.shell("ls store/live/*/outputs 2>/dev/null || true").contains("up")
            }
            try #require(kill(try stage.process("__serve"), SIGKILL) == 0)
            try stage.shell("for o in store/live/*/outputs; do : > $o/killed; done")
            Stage.eventually("an answer") {
                try stage.shell("cat store/live/*/outputs/served 2>/dev/null || true") == "No such file"
            }
            try #require(kill(try stage.process("__supervise"), SIGKILL) == 0)
            #expect(try job.wait().code == 5)
            #expect(try stage.done("cat", "run:latest/outputs/o") == "before\nafter\n")
            try stage.expectNothingLeft()
        }

        /// A signal to the launcher is the job's.
        @Test func signalsReachTheJob() throws {
            try prepare()
            let script =
                "trap 'echo stopped > $DFS_OUTPUTS/end; exit 9' TERM; echo up > $DFS_OUTPUTS/up; while :; do sleep 0.05; done"
            let job = try stage.start("dfs-run", ["--", "sh", "-c", script])
            Stage.eventually("the job") { try stage.shell("ls store/live/*/outputs 2>/dev/null || true") == "up" }
            kill(job.process, SIGTERM)
            #expect(try job.wait().code == 9)
            #expect(try stage.done("cat", "run:latest/outputs/end") == "stopped\n")
            try stage.expectNothingLeft()
        }

        // MARK: While it runs

        @Test func aRunInProgressIsThere() throws {
            try prepare()
            let script =
                "echo one; until [ -e $DFS_OUTPUTS/../outputs/go ]; do sleep 0.05; done; echo two; "
                + "until [ -e $DFS_OUTPUTS/end ]; do sleep 0.05; done; echo three"
            try stage.mounted { mount in
                let job = try stage.start("dfs-run", ["--data", "x", "--", "sh", "-c", script])
                Stage.eventually("the run") { try stage.text(mount + "/runs/latest/logs/stdout") == "one\n" }
                let folder = try #require(Files.resolved(mount + "/runs/latest"))
                #expect(try stage.text(folder + "/status").hasPrefix("running"))
                #expect(try stage.text(folder + "/data/x/x") == "frozen\n")
                let live = try #require(try stage.shell("ls -d store/live/*").split(separator: "\n").first)
                let outputs = stage.directory.sub(live + "/outputs")
                try TestFiles.write(outputs + "/go", [])
                Stage.eventually("more of the log") { try stage.text(folder + "/logs/stdout") == "one\ntwo\n" }
                #expect(try stage.text(folder + "/status").hasPrefix("running"))
                Stage.eventually("the output") { Files.exists(folder + "/outputs/go") }
                let record = try JSONValue.parse(try #require(try Files.read(folder + "/record.json")))
                #expect(record["status"] == "running")
                try TestFiles.write(outputs + "/end", [])
                #expect(try job.wait().code == 0)
                Stage.eventually("its end") { try stage.text(folder + "/status").hasPrefix("succeeded") }
                Stage.eventually("the whole log") { try stage.text(folder + "/logs/stdout") == "one\ntwo\nthree\n" }
            }
            try stage.expectNothingLeft()
        }
    }
}
