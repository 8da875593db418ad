import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

extension PlayWithMounts {
    /// `--like`, `--require` and `dfs host diff`, on this machine with other variables.
    @Suite struct DriftPlayTests {
        private let stage: Stage

        init() throws { stage = try Stage() }

        private func launch(
            _ arguments: String..., threads: String? = nil
        ) throws -> SpawnedProgram.Result {
            try stage.start(
                "dfs-run", arguments, variables: threads.map { ["OMP_NUM_THREADS": $0] } ?? [:]
            ).wait()
        }

        private func runs() throws -> Int { try stage.done("runs", "-q").split(separator: "\n").count }

        @Test func aHostThatDiffersTooMuchIsRefusedBeforeAnythingStarts() throws {
            let marker = stage.directory.sub("ran")
            #expect(try launch("--", "true").code == 0)
            let before = try stage.fingerprint(stage.store + "/ledger")
            let live = try DirectoryListing.names(of: stage.store + "/live").count
            for options in [["--require", "same-numerics"], ["--like", "latest", "--require", "identical"]] {
                let result = try stage.start(
                    "dfs-run", options + ["--", "touch", marker], variables: ["OMP_NUM_THREADS": "3"]
                ).wait()
                #expect(result.code == 120, "\(result.errorText)")
                let lines = result.errorText.split(separator: "\n")
                #expect(lines.count == 3 && lines[0].hasPrefix("error: this host is cross-numerics"), "\(lines)")
                #expect(lines[1].contains("job.switches.OMP_NUM_THREADS was absent and is 3"))
                #expect(lines[2].hasPrefix("hint: dfs host diff run:"))
            }
            #expect(try stage.fingerprint(stage.store + "/ledger") == before)
            #expect(try DirectoryListing.names(of: stage.store + "/live").count == live)
            #expect(!Files.exists(marker))
            #expect(try runs() == 1)
            // What is accepted goes into the plan.
            let accepted = try launch("--like", "latest", "--require", "cross-numerics", "--", "true", threads: "3")
            #expect(accepted.code == 0 && accepted.errorText.contains("host as of run:"), "\(accepted.errorText)")
            let record = try JSONValue.parse(try stage.done("cat", "run:latest/record.json"))
            let drift = try #require(record["plan"]?["drift"])
            #expect(drift["class"] == "cross-numerics" && drift["required"] == "cross-numerics")
            #expect(drift["facts"]?.array?.first?["fact"] == "job.switches.OMP_NUM_THREADS")
            #expect(drift["against"]?.string?.isEmpty == false)
            try stage.expectNothingLeft()
        }

        @Test func theProjectMayRequire() throws {
            try stage.directory.write("project/dfs.toml", "[run]\nrequire = \"identical\"\n")
            let first = try launch("--", "true")
            #expect(first.code == 0 && first.errorText.contains("nothing to compare"), "\(first.errorText)")
            let second = try launch("--", "true")
            #expect(second.code == 0 && second.errorText.contains("the latest of project that succeeded"))
            #expect(try launch("--", "true", threads: "2").code == 120)
            // What is written on the command line wins.
            #expect(try launch("--require", "cross-numerics", "--", "true", threads: "2").code == 0)
            let odd = try launch("--require", "same", "--", "true")
            #expect(odd.code == 64 && odd.errorText.contains("is no class of drift"), "\(odd.errorText)")
            #expect(try launch("--like", "deadbeef", "--", "true").code == 11)
        }

        @Test func hostDiffTellsAndItsCodeToo() throws {
            #expect(try launch("--", "true").code == 0)
            #expect(try launch("--", "true", threads: "5").code == 0)
            let same = try stage.dfs("host", "diff", "latest", "latest")
            #expect(same.code == 0 && same.outputText.contains("identical"), "\(same.outputText)")
            let ids = try stage.done("runs", "-q").split(separator: "\n").map(String.init)
            let diff = try stage.dfs("host", "diff", ids[1], ids[0], "--json")
            #expect(diff.code == 1, "\(diff.errorText)")
            let json = try JSONValue.parse(diff.output)
            #expect(json["schema"] == "dfs.drift/1" && json["class"] == "cross-numerics")
            #expect(json["counts"]?["cross-numerics"] == 1 && json["counts"]?["same-numerics"] == nil)
            let fact = try #require(json["facts"]?.array?.first)
            #expect(fact["fact"] == "job.switches.OMP_NUM_THREADS" && fact["now"] == "5")
            #expect(fact["sources"]?.array?.isEmpty == false && fact["reason"]?.string?.isEmpty == false)
            let here = try stage.dfs("host", "diff", ids[1])
            #expect(here.code == 0, "\(here.outputText)")
            let text = try stage.dfs("host", "diff", ids[0])
            #expect(text.code == 1 && text.outputText.contains("another order of additions"), "\(text.outputText)")
            #expect(try stage.json("host")["schema"] == "dfs.host/1")
        }
    }
}
