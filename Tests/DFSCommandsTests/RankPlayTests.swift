import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

extension PlayWithMounts {
    /// What `srun` starts as one step, where it does not go well: refusals, failures, interruptions.
    @Suite struct RankPlayTests {
        private let stage: Stage

        init() throws { stage = try Stage() }

        private func start(
            _ rank: Int, of count: Int = 2, step: Int = 0, _ arguments: [String]
        ) throws -> SpawnedProgram {
            try stage.start(
                "dfs-run", arguments,
                variables: [
                    "SLURM_JOB_ID": "78", "SLURM_STEP_ID": "\(step)", "SLURM_PROCID": "\(rank)",
                    "SLURM_STEP_NUM_TASKS": "\(count)", "SLURM_STEP_NUM_NODES": "1",
                ])
        }

        private func result() throws -> JSONValue {
            try #require(try stage.json("show", "latest")["record"]?["result"])
        }

        private var steps: String { stage.store + "/live/steps-\(geteuid())" }

        private func isLed(_ step: Int, meeting: Int = 0) -> Bool {
            Files.exists("\(steps)/slurm.78.\(step).0/\(meeting)/leader.json")
        }

        /// A view that cannot be built ends all ranks, those that come later among them.
        @Test(.timeLimit(.minutes(2))) func aViewThatCannotBeBuiltEndsAllRanks() throws {
            try stage.directory.write("data/x", "frozen\n")
            try stage.done("commit", "dd", stage.directory.sub("data"))
            let arguments = ["--in-place", "--data", "./nothere=dd", "--", "true"]
            let results = try [start(0, arguments), start(1, arguments)].map { try $0.wait() }
            #expect(results.map(\.code) == [123, 123], "\(results.map(\.errorText))")
            #expect(results[0].errorText.contains("nothere") && results[1].errorText.contains("nothere"))
            #expect(try result()["failure"]?["stage"] == "mount")
            #expect(try result()["reason"] == "not started: mount")
            #expect(try stage.done("runs", "-q").split(separator: "\n").count == 1)
            // Nor is there a second run for one that is late, and a rank's next call is another matter.
            let early = try start(0, of: 3, step: 1, arguments).wait()
            let late = try start(1, of: 3, step: 1, arguments).wait()
            #expect(early.code == 123 && late.code == 123, "\(late.errorText)")
            #expect(try stage.done("runs", "-q").split(separator: "\n").count == 2)
            let next = try [0, 1].map { try start($0, step: 0, ["--", "true"]) }.map { try $0.wait() }
            #expect(next.map(\.code) == [0, 0], "\(next.map(\.errorText))")
            #expect(try stage.done("runs", "-q").split(separator: "\n").count == 3)
            try stage.expectNothingLeft()
        }

        /// The command is found nowhere, which shows only when the view is there to be joined.
        @Test(.timeLimit(.minutes(2))) func aCommandThatCannotBeRunEndsAllRanks() throws {
            let results = try [0, 1].map { try start($0, ["--", "no-such-command-here"]) }.map { try $0.wait() }
            #expect(results.map(\.code) == [127, 127], "\(results.map(\.errorText))")
            try stage.expectNothingLeft()
        }

        /// The leader's job is over and another rank hangs: the third interruption ends all of it, and the record says so.
        @Test(.timeLimit(.minutes(2))) func threeInterruptionsEndTheWait() throws {
            let script =
                "echo $$ > ../up-$SLURM_PROCID; test $SLURM_PROCID = 0 || { trap '' TERM; while :; do sleep 0.1; done; }"
            let leader = try start(0, ["--", "sh", "-c", script])
            Stage.eventually("the leader") { isLed(0) }
            let other = try start(1, ["--", "sh", "-c", script])
            Stage.eventually("both") {
                Files.exists(stage.directory.sub("up-0")) && Files.exists(stage.directory.sub("up-1"))
            }
            let job = try stage.text(stage.directory.sub("up-0")).prefix { $0 != "\n" }
            Stage.eventually("the end of the leader's job") { !Files.exists("/proc/\(job)") }
            for _ in 0..<3 {
                kill(leader.process, SIGTERM)
                usleep(100_000)
            }
            let ended = try leader.wait()
            #expect(ended.code == 128 + SIGTERM, "\(ended.errorText)")
            #expect(try other.wait().code == 128 + SIGKILL)
            let result = try result()
            #expect(result["state"] == "interrupted" && result["actor"] == "sender", "\(result)")
            #expect(result["reason"] == "rank 1 had not ended after SIGTERM", "\(result)")
            #expect(result["child"]?["killed"] == true)
            #expect(result["ranks"]?["others"] == [["rank": 1, "exit": .null]])
            #expect(!Files.exists(steps + "/slurm.78.0.0"))
            try stage.expectNothingLeft()
        }

        /// Nobody waits a minute for a rank that never came, once somebody wants an end.
        @Test(.timeLimit(.minutes(1))) func anInterruptionEndsTheWaitForRanksThatNeverCame() throws {
            let leader = try start(0, ["--", "sh", "-c", "echo $$ > ../up"])
            Stage.eventually("the end of the job") {
                !Files.exists("/proc/" + (try stage.text(stage.directory.sub("up")).prefix { $0 != "\n" }))
            }
            kill(leader.process, SIGINT)
            let ended = try leader.wait()
            #expect(ended.code == 128 + SIGINT, "\(ended.errorText)")
            #expect(try result()["reason"] == "rank 1 never came, or died without a word after SIGINT")
            #expect(try result()["state"] == "interrupted")
        }

        @Test func aRankThatAsksForAnotherRunIsRefused() throws {
            let leader = try start(
                0, ["--note", "one", "--", "sh", "-c", "while ! test -e ../go; do sleep 0.05; done"])
            Stage.eventually("the leader") { isLed(0) }
            let other = try start(1, ["--note", "two", "--", "true"]).wait()
            #expect(other.code == 122, "\(other.errorText)")
            #expect(other.errorText.contains("cause: --note differs"), "\(other.errorText)")
            try stage.directory.write("go", "")
            #expect(try leader.wait().code == 0)
            #expect(try result()["state"] == "failed" && result()["reason"] == "rank 1: exit 122")
        }

        /// `srun --multi-prog`.
        @Test func ranksMayHaveOtherCommands() throws {
            // As in a store that is shared with a group.
            try stage.shell("mkdir -p store/live; chmod 3775 store/live")
            let wait = ["sh", "-c", "while ! test -e ../go; do sleep 0.05; done"]
            let leader = try start(0, of: 3, ["--tag", "both", "--"] + wait)
            Stage.eventually("the leader") { isLed(0) }
            let same = try start(1, of: 3, ["--tag", "both", "--"] + wait)
            let other = try start(2, of: 3, ["--tag", "both", "--", "/bin/echo", "hello", "secret"]).wait()
            #expect(other.code == 0 && other.outputText == "hello secret\n", "\(other.errorText)")
            try stage.directory.write("go", "")
            #expect(try same.wait().code == 0)
            #expect(try leader.wait().code == 0)
            #expect(
                try result()["ranks"]?["others"] == [
                    ["rank": 1, "exit": 0],
                    ["rank": 2, "exit": 0, "command": ["program": "echo", "arguments": 2]],
                ])
            #expect(try stage.done("runs", "-q").split(separator: "\n").count == 1)
        }

        /// A leader that was killed before its view stood leaves a step in which one other leads, and only one.
        @Test(.timeLimit(.minutes(2))) func ofRanksThatFindTheLeaderDeadOneLeads() throws {
            let meeting = "\(steps)/slurm.78.0.0/0"
            try stage.shell("mkdir -m 700 -p store/live; mkdir -m 700 \(steps) \(Files.parent(meeting)) \(meeting)")
            guard case .object(var dead) = try ProcessIdentity.own().json else { return }
            dead["start"] = 1
            let claim: JSONValue = [
                "run": .string(RunID(.make()).description), "process": .object(dead), "rank": 0, "options": [:],
                "command": "",
            ]
            try stage.directory.write("claim", claim.canonicalText)
            try stage.shell("mv claim \(meeting)/leader.json")
            let ranks = try (1..<6).map { try start($0, of: 6, ["--", "sh", "-c", "echo $DFS_RUN_ID"]) }
            let zero = try start(0, of: 6, ["--", "sh", "-c", "echo $DFS_RUN_ID"])
            let results = try (ranks + [zero]).map { try $0.wait() }
            #expect(results.allSatisfy { $0.code == 0 }, "\(results.map(\.errorText))")
            #expect(Set(results.map(\.outputText)).count == 1)
            #expect(try stage.done("runs", "-q").split(separator: "\n").count == 1)
        }

        /// A script that is a rank may call dfs-run more than once.
        @Test(.timeLimit(.minutes(2))) func ranksMeetAgain() throws {
            let program = SpawnedProgram.products + "/dfs-run"
            let script =
                "\(program) -- sh -c 'sleep 0.$SLURM_PROCID; echo 1 $DFS_RUN_ID'; \(program) -- sh -c 'echo 2 $DFS_RUN_ID'"
            let ranks = try (0..<3).map { rank in
                try stage.start(
                    "/bin/sh", ["-c", script],
                    variables: [
                        "SLURM_JOB_ID": "78", "SLURM_STEP_ID": "9", "SLURM_PROCID": "\(rank)",
                        "SLURM_STEP_NUM_TASKS": "3",
                    ])
            }
            let results = try ranks.map { try $0.wait() }
            #expect(results.allSatisfy { $0.code == 0 }, "\(results.map(\.errorText))")
            #expect(Set(results.map(\.outputText)).count == 1, "\(results.map(\.outputText))")
            #expect(try stage.done("runs", "-q").split(separator: "\n").count == 2)
            try stage.expectNothingLeft()
        }

        @Test func aFolderThatOthersMayUseIsRefused() throws {
            func refused(_ cause: String, location: SourceLocation = #_sourceLocation) throws {
                let rank = try start(0, ["--", "true"]).wait()
                #expect(rank.code == 122, "\(rank.errorText)", sourceLocation: location)
                #expect(rank.errorText.contains("cause: " + cause), "\(rank.errorText)", sourceLocation: location)
                #expect(try stage.done("runs", "-q").isEmpty, sourceLocation: location)
            }
            try stage.shell("mkdir -p store/live; mkdir -m 755 \(steps)")
            try refused("others may use it: its mode is 755")
            try stage.shell(
                "rmdir \(steps); mkdir -m 700 elsewhere; ln -s \(stage.directory.sub("elsewhere")) \(steps)")
            try refused("it is no directory")
            if geteuid() == 0 {
                try stage.shell("rm \(steps); mkdir -m 700 \(steps); chown 65534 \(steps)")
                try refused("it belongs to user 65534")
            } else {
                print("skipped: only root gives folders to others")
            }
        }

        /// What the leader's file says beside the run's own variables is not taken, nor a view of other processes.
        @Test func onlyVariablesOfTheRunAreTaken() throws {
            let leader = try start(0, ["--", "sh", "-c", "while ! test -e ../go; do sleep 0.05; done"])
            let ready = "\(steps)/slurm.78.0.0/0/ready.json"
            Stage.eventually("the view") { Files.exists(ready) }
            let value = try JSONValue.parse(Array(try stage.text(ready).utf8))
            guard case .object(var members) = value, let variables = members["variables"]?.array else { return }
            #expect(variables.allSatisfy { $0.string?.hasPrefix("DFS_") == true })
            members["variables"] = .array(variables + ["BASH_ENV=/tmp/evil", "LD_PRELOAD=/tmp/evil.so"])
            try stage.directory.write("ready", JSONValue.object(members).canonicalText)
            try stage.shell("mv ready \(ready)")
            let other = try start(1, ["--", "sh", "-c", "env | grep evil; echo $DFS_RUN_ID"]).wait()
            #expect(other.outputText.hasPrefix("evil") == false && other.outputText.count > 30, "\(other.outputText)")
            #expect(!other.outputText.contains("evil"))
            try stage.directory.write("go", "")
            #expect(try leader.wait().code == 0)
        }

        /// The kernel refuses the writable layer: a copy stands in for it, and what watches the run has been started once.
        @Test(.enabled(if: geteuid() == 0)) func aRefusedLayerStartsNoWitnessTwice() throws {
            let live = stage.store + "/live"
            try stage.shell("mkdir -p \(live) lower upper work")
            try stage.shell(
                "mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work \(live) || echo no")
            guard try stage.mounts().contains(live) else { return print("skipped: no overlay can be mounted here") }
            defer { _ = try? stage.shell("umount -l \(live)") }
            // The freezing process is the only one that is named by /proc/self/exe; one too many has ended by now.
            let script = "for p in $(cat /proc/$PPID/task/*/children); do cat /proc/$p/stat; done | grep -c '(exe)'"
            let run = try stage.start(
                "dfs-run", ["--", "sh", "-c", script], variables: ["DFS_FREEZE_LIMIT": "1MB"]
            ).wait()
            #expect(run.code == 0 && run.outputText == "1\n", "\(run.outputText)\(run.errorText)")
            #expect(try result()["working-directory"] == "copy")
            #expect(try result()["access"]?["code"] != nil)
        }
    }
}
