import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

extension PlayWithMounts {
    /// Runs that are killed keep every byte they had written.
    @Suite struct KillPlayTests {
        enum Victim: String, CaseIterable, Sendable { case launcher, job, both }

        private let stage: Stage

        init() throws { stage = try Stage() }

        /// Counts, into its log, an output and a working file; then tells the side file how far it is. Never syncs.
        private static let counting = """
            echo $$ > ../pid
            i=0
            while :; do
                i=$((i + 1))
                echo line $i
                echo line $i >&2
                echo line $i >> $DFS_OUTPUTS/counted
                echo line $i >> counted
                echo $i >> ../side
            done
            """

        private func reached() throws -> Int {
            let lines = try stage.text(stage.directory.sub("side")).split(
                separator: "\n", omittingEmptySubsequences: false)
            return lines.dropLast().last.flatMap { Int($0) } ?? 0
        }

        @Test(arguments: Victim.allCases) func whatWasWrittenStays(_ victim: Victim) throws {
            try stage.directory.write("data/x", "frozen\n")
            try stage.done("commit", "x", stage.directory.sub("data"))
            try stage.directory.write("project/count.sh", Self.counting)
            let run = try stage.start("dfs-run", ["--data", "x", "--", "sh", "count.sh"])
            Stage.eventually("two hundred lines") { try reached() >= 200 }
            let job = try #require(pid_t(try stage.shell("cat pid")))
            if victim != .job { kill(run.process, SIGKILL) }
            if victim != .launcher { kill(job, SIGKILL) }
            let result = try run.wait()
            #expect(result.code == 137, "\(result.errorText)")
            Stage.eventually("the end of the job") { kill(job, 0) != 0 }
            let count = try reached()

            #expect(try stage.json("show", "latest")["status"]?.string == "interrupted")
            for file in ["outputs/counted", "work/counted", "logs/stdout", "logs/stderr"] {
                let lines = try stage.done("cat", "run:latest/" + file).split(separator: "\n")
                #expect(lines.count >= count, "\(file)")
                #expect(lines.prefix(count).elementsEqual((1...count).lazy.map { "line \($0)" }), "\(file)")
            }
            #expect(try DirectoryListing.names(of: stage.store + "/live").isEmpty)
            #expect(try stage.dfs("verify").code == 0)

            // The next run is not disturbed by what the dead one left, and cleans it up.
            #expect(try stage.launch("--data", "x", "--", "true").code == 0)
            try stage.expectNothingLeft()
        }

        /// The server of a run's view usually ends with its launcher, and unmounts. Here it cannot.
        @Test func theViewOfADeadRunGoes() throws {
            try stage.directory.write("data/x", "frozen\n")
            try stage.done("commit", "x", stage.directory.sub("data"))
            let run = try stage.start(
                "dfs-run", ["--serve", "fuse", "--data", "x", "--", "sh", "-c", "echo up > ../up; exec sleep 1000"])
            Stage.eventually("the job") { Files.exists(stage.directory.sub("up")) }
            let servers = [try stage.process("__supervise"), try stage.process("__serve")]
            // Stopped first: they must not get to see that their parents have died.
            for server in servers { kill(server, SIGSTOP) }
            kill(run.process, SIGKILL)
            for server in servers { kill(server, SIGKILL) }
            _ = try run.wait()
            Stage.eventually("the end of the servers") { servers.allSatisfy { kill($0, 0) != 0 } }
            #expect(try stage.mounts().count == 1)
            #expect(try stage.json("show", "latest")["status"]?.string == "interrupted")
            try stage.expectNothingLeft()
        }
    }
}
