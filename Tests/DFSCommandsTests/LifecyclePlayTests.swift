import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

extension PlayWithMounts {
    /// What a run's record says of its life: how it ended, by whom, what was part of it.
    @Suite struct LifecyclePlayTests {
        private let stage: Stage

        init() throws { stage = try Stage() }

        private func result() throws -> JSONValue {
            try #require(try stage.json("show", "latest")["record"]?["result"])
        }

        @Test func anEndHasAReasonAndAnActor() throws {
            #expect(try stage.launch("--", "true").code == 0)
            #expect(try result()["reason"] == "exit 0" && result()["actor"] == "job")
            #expect(try stage.launch("--", "sh", "-c", "exit 9").code == 9)
            #expect(try result()["reason"] == "exit 9" && result()["state"] == "failed")
            #expect(try stage.launch("--", "sh", "-c", "kill -SEGV $$").code == 139)
            #expect(try result()["reason"] == "SIGSEGV" && result()["actor"] == "job")
            #expect(try stage.launch("--", "sh", "-c", "kill -KILL $$").code == 137)
            #expect(try result()["actor"] == "unknown" && result()["state"] == "interrupted")
            // A job that answers a signal with its number has been interrupted too.
            let job = try stage.start(
                "dfs-run", ["--", "sh", "-c", "trap 'exit 143' TERM; echo > ../up; while :; do sleep 0.05; done"])
            Stage.eventually("the job") { Files.exists(stage.directory.sub("up")) }
            kill(job.process, SIGTERM)
            #expect(try job.wait().code == 143)
            #expect(try result()["actor"] == "sender" && result()["state"] == "interrupted")
            #expect(try result()["reason"] == "exit 143 after SIGTERM")
        }

        @Test func aRankThatNeverWasHasNoLog() throws {
            #expect(try stage.launch("--", "true").code == 0)
            #expect(try stage.dfs("logs", "latest").code == 0)
            #expect(try stage.dfs("logs", "--rank", "9", "latest").code == 11)
        }

        @Test func whatIgnoresTermIsKilledAndNamed() throws {
            let run = try stage.launch(
                "--", "sh", "-c", "(trap '' TERM; sleep 300 & wait; sleep 300) & sleep 0.2; exit 0")
            #expect(run.code == 0, "\(run.errorText)")
            let orphans = try result()["child"]?["orphans"]?.array ?? []
            #expect(orphans.contains { $0["killed"] == true }, "\(orphans)")
            #expect(orphans.contains { $0["name"] == "sleep" }, "\(orphans)")
            try stage.expectNothingLeft()
        }

        /// Control groups are made where the tests' own memory group is.
        private static let memoryGroup: String? = {
            guard geteuid() == 0, let bytes = try? Files.read("/proc/self/cgroup") else { return nil }
            for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
                let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
                if fields.count == 3, fields[1] == "memory" {
                    let path = "/sys/fs/cgroup/memory" + fields[2]
                    if access(path + "/memory.limit_in_bytes", W_OK) == 0 { return path }
                }
            }
            print("skipped: no control group for memory (version 1) can be made here")
            return nil
        }()

        @Test(.enabled(if: memoryGroup != nil)) func whatRanOutOfMemoryHasFailed() throws {
            let group = try #require(Self.memoryGroup) + "/dfs-test-\(getpid())"
            try #require(mkdir(group, 0o755) == 0)
            defer { rmdir(group) }
            // The child is killed, and its parent ends well all the same.
            let script = """
                echo $$ > \(group)/cgroup.procs
                echo 64M > \(group)/memory.limit_in_bytes
                exec "$0" -- sh -c 'python3 -c "x = bytearray(1 << 28)"; exit 0'
                """
            let run = try stage.start("/bin/sh", ["-c", script, SpawnedProgram.products + "/dfs-run"]).wait()
            #expect(run.code == 0, "\(run.errorText)")
            #expect(try result()["state"] == "failed" && result()["actor"] == "kernel")
            #expect(try result()["child"]?["memory-kills"]?["count"]?.integer ?? 0 >= 1)
        }

        @Test func aRunInARunIsAStepOfIt() throws {
            try stage.directory.write("data/x", "frozen\n")
            try stage.done("commit", "x", stage.directory.sub("data"))
            let program = SpawnedProgram.products + "/dfs-run"
            let run = try stage.launch(
                "--data", "x", "--", "sh", "-c",
                """
                \(program) --data x -- cat {data:x}/x
                \(program) -- sh -c 'exit 7'; echo $?
                \(program) --data x@v2 -- true; echo $?
                \(program) --seed 3 -- true; echo $?
                for option in --code=. --no-access --strict --allow-secrets=because; do
                \(program) $option -- true; echo $?
                done
                """)
            #expect(run.outputText == "frozen\n7\n11\n" + String(repeating: "122\n", count: 5), "\(run.errorText)")
            #expect(try stage.done("runs", "-q").split(separator: "\n").count == 1)
            let steps = try stage.done("cat", "run:latest/evidence/steps.jsonl").split(separator: "\n")
            #expect(try steps.map { try JSONValue.parse(Array($0.utf8))["program"]?.string } == ["cat", "sh"])
            // The variables alone make no run.
            let other = try stage.start(
                "dfs-run", ["--", "true"], variables: ["DFS_RUN_ID": RunID(.make()).description, "DFS_RUN_DIR": "/tmp"]
            ).wait()
            #expect(other.code == 0)
            #expect(try stage.done("runs", "-q").split(separator: "\n").count == 2)
        }

        /// What `srun -n 8` starts: eight processes that know their rank. Some are late, and one of them fails.
        @Test func theRanksOfAStepAreOneRun() throws {
            try stage.directory.write("data/x", "frozen\n")
            try stage.done("commit", "x", stage.directory.sub("data"))
            func step(_ number: Int, _ script: String) throws -> [SpawnedProgram.Result] {
                let ranks = try (0..<8).map { rank in
                    try stage.start(
                        "dfs-run", ["--data", "x", "--", "sh", "-c", script],
                        variables: [
                            "SLURM_JOB_ID": "77", "SLURM_STEP_ID": "\(number)", "SLURM_PROCID": "\(rank)",
                            "SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "1",
                        ])
                }
                return try ranks.map { try $0.wait() }
            }
            let script = """
                cat {data:x}/x > $DFS_OUTPUTS/$SLURM_PROCID; echo rank $SLURM_PROCID of $DFS_RUN_ID
                echo $SLURM_PROCID > work-$SLURM_PROCID; sleep 0.$SLURM_PROCID
                """
            let results = try step(0, script)
            #expect(results.allSatisfy { $0.code == 0 }, "\(results.map(\.errorText))")
            let id = try #require(try stage.json("show", "latest")["run"]?.string)
            for (rank, result) in results.enumerated() { #expect(result.outputText == "rank \(rank) of \(id)\n") }
            #expect(try stage.done("runs", "-q").split(separator: "\n").count == 1)
            #expect(try stage.done("ls", "-q", "run:latest/outputs").split(separator: "\n").count == 8)
            #expect(try stage.done("ls", "-q", "run:latest/work").split(separator: "\n").count == 8)
            #expect(try result()["ranks"]?["others"]?.array?.count == 7)

            let failed = try step(1, "test $SLURM_PROCID != 5")
            #expect(failed.map(\.code).reduce(0, +) == 1)
            let ending = try result()
            #expect(ending["state"] == "failed", "\(ending)")
            #expect(try stage.done("runs", "-q").split(separator: "\n").count == 2)

            // What the leader cannot start, nobody starts.
            let none = try stage.start(
                "dfs-run", ["--data", "nosuch", "--", "true"],
                variables: [
                    "SLURM_JOB_ID": "77", "SLURM_STEP_ID": "2", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "8",
                ]
            ).wait()
            #expect(none.code == 11)
            try stage.shell("test -z \"$(ls store/live/steps-$(id -u) | grep -v '77.2')\"")
            try stage.expectNothingLeft()
        }

        /// What is made read-only is in the history while the run goes on, and stays when all is killed.
        @Test func finishedOutputsAreRecordedAtOnce() throws {
            let job = try stage.start(
                "dfs-run",
                [
                    "--", "sh", "-c",
                    "mkdir $DFS_OUTPUTS/ck; echo one > $DFS_OUTPUTS/ck/a; echo open > $DFS_OUTPUTS/b; chmod 444 $DFS_OUTPUTS/ck/a; exec sleep 1000",
                ])
            Stage.eventually("the record of the output") {
                try stage.dfs("cat", "run:latest/outputs/ck/a").outputText == "one\n"
            }
            #expect(try stage.json("show", "latest")["status"] == "running")
            #expect(try stage.dfs("cat", "run:latest/outputs/b").code == 11, "it may still be written to")
            #expect(try stage.dfs("verify", "--data").code == 0)
            kill(job.process, SIGKILL)
            _ = try job.wait()
            #expect(try stage.json("show", "latest")["status"] == "interrupted")
            #expect(try stage.done("cat", "run:latest/outputs/ck/a") == "one\n")
            #expect(try stage.done("cat", "run:latest/outputs/b") == "open\n")
            #expect(try stage.dfs("verify", "--data").code == 0)
            try stage.expectNothingLeft()
        }

        /// Read-only is not finished: a file that goes on changing, or is replaced, is recorded as it is then.
        @Test func whatChangesIsRecordedAgain() throws {
            let job = try stage.start(
                "dfs-run",
                [
                    "--", "sh", "-c",
                    """
                    cd $DFS_OUTPUTS; echo one > it; chmod 444 it; chmod 000 it; chmod 444 it
                    while ! test -e \(stage.directory.sub("go")); do sleep 0.1; done
                    echo two > new; chmod 444 new; mv -f new it; exec sleep 1000
                    """,
                ])
            Stage.eventually("the first") { try stage.dfs("cat", "run:latest/outputs/it").outputText == "one\n" }
            try stage.directory.write("go", "")
            Stage.eventually("the second") { try stage.dfs("cat", "run:latest/outputs/it").outputText == "two\n" }
            kill(job.process, SIGKILL)
            _ = try job.wait()
            #expect(try stage.done("cat", "run:latest/outputs/it") == "two\n")
            try stage.expectNothingLeft()
        }

        /// A run that was recorded and could not be started has ended by that.
        @Test func whatCannotBeStartedIsRecordedAsSuch() throws {
            try stage.directory.write("data/x", "frozen\n")
            try stage.done("commit", "x", stage.directory.sub("data"))
            let run = try stage.launch("--in-place", "--data", "./nothere=x", "--", "true")
            #expect(run.code != 0, "\(run.errorText)")
            let ending = try result()
            #expect(ending["state"] == "failed" && ending["actor"] == "launcher", "\(ending)")
            #expect(try DirectoryListing.names(of: stage.store + "/live").isEmpty)
        }

        @Test(.enabled(if: geteuid() == 0)) func writesOutsideAreListed() throws {
            let run = try stage.launch(
                "--", "sh", "-c",
                "echo in > in; echo out > $DFS_OUTPUTS/out; echo home > $HOME/notes; echo tmp > \(stage.directory.path)/else"
            )
            #expect(run.code == 0 && run.errorText.contains("outside 2 files, not kept"), "\(run.errorText)")
            let listed = try JSONValue.parse(
                Array(try stage.done("cat", "run:latest/evidence/outside.json").utf8))
            let paths = listed["files"]?.array?.compactMap { $0["path"]?.string }
            #expect(paths == [stage.directory.path + "/else", stage.home + "/notes"], "\(listed)")
            #expect(try stage.done("show", "latest").contains("outside"))
        }

        @Test(.enabled(if: Stage.canMount)) func dfsIsNoWayAround() throws {
            try stage.directory.write("data/sub/x", "secret\n")
            try stage.done("commit", "x", stage.directory.sub("data"))
            let program = SpawnedProgram.products
            let run = try stage.launch(
                "--data", "x", "--deny", "x/sub", "--", "sh", "-c",
                "\(program)/dfs cat x/sub/x; echo $?; \(program)/dfs-run -- cat {data:x}/sub/x; echo $?")
            #expect(run.outputText == "2\n1\n", "\(run.errorText)")
            #expect(try stage.done("cat", "run:latest/evidence/steps.jsonl").contains("\"refused\":true"))
        }

        /// The launcher's own locks are not lost to what the job opens.
        @Test func aJobMayUseTheStore() throws {
            try stage.directory.write("data/x", "frozen\n")
            try stage.done("commit", "x", stage.directory.sub("data"))
            let program = SpawnedProgram.products + "/dfs"
            for _ in 0..<3 {
                let run = try stage.launch(
                    "--data", "x", "--", "sh", "-c", "\(program) ls; \(program) ls; \(program) ls; cat {data:x}/x")
                #expect(run.code == 0, "\(run.errorText)")
                #expect(try stage.json("show", "latest")["status"] == "succeeded")
                #expect(try result()["access"]?["complete"] == true)
            }
            // A run that goes on is repeated by nobody, least of all by itself.
            let again = try stage.launch("--", "sh", "-c", "\(program) rerun latest; echo $?")
            #expect(again.outputText == "122\n", "\(again.errorText)")
        }

        @Test func onATerminalTheJobHasOneToo() throws {
            try stage.directory.write("terminal.py", Self.terminal)
            let run = try stage.start(
                "/usr/bin/env",
                [
                    "python3", stage.directory.sub("terminal.py"), SpawnedProgram.products + "/dfs-run", "--", "sh",
                    "-c",
                    "test -t 0 && test -t 1 && test -t 2 && stty size && read word && echo got $word; echo err >&2",
                ]
            ).wait()
            #expect(run.code == 0, "\(run.errorText)")
            #expect(
                run.outputText.contains("33 101\r\n") && run.outputText.contains("got hello\r\n"), "\(run.outputText)")
            #expect(try stage.done("logs", "--stdout", "latest") == "33 101\ngot hello\n")
            #expect(try stage.done("logs", "--stderr", "latest") == "err\n")
            try stage.expectNothingLeft()
        }

        /// Runs a command on a terminal of 33 lines by 101 columns, types `hello`, and prints what it shows.
        private static let terminal = """
            import fcntl, os, pty, struct, sys, termios
            pid, terminal = pty.fork()
            if pid == 0:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
                os.execv(sys.argv[1], sys.argv[1:])
            shown = b""
            while True:
                try:
                    piece = os.read(terminal, 65536)
                except OSError:
                    break
                if not piece:
                    break
                if b"33 101" in piece:
                    os.write(terminal, b"hello\\n")
                shown += piece
            sys.stdout.buffer.write(shown)
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            """
    }
}
