import DFSLedger
import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

@testable import DFSCommands

/// runs, logs, host, doctor.
@Suite struct RunCommandTests {
    private let sandbox: Sandbox

    init() throws {
        sandbox = try Sandbox()
        try sandbox.commitTwice()
    }

    @Test func runsAreFiltered() throws {
        let good = try sandbox.recordRun(command: ["python", "a.py"], outcome: .succeeded)
        let bad = try sandbox.recordRun(command: ["python", "b.py"], outcome: .failed)
        let rows = try sandbox.expect(0, "runs", "--json").rows()
        #expect(rows.map { $0["run"]?.string } == [bad.description, good.description])
        #expect(rows[0]["schema"] == "dfs.runs/1" && rows[0]["command"] == ["python", "b.py"])
        func count(_ arguments: String...) throws -> Int {
            var all = ["runs", "--json"] + arguments
            all.append("--quiet")
            let (output, error) = (try sandbox.scratchFile("out"), try sandbox.scratchFile("err"))
            let code = Invocation(
                arguments: all, environment: sandbox.environment(),
                streams: StandardStreams(output: output.raw, error: error.raw)
            ).run()
            #expect(code == 0)
            return try sandbox.text("out").split(separator: "\n").count
        }
        #expect(try count("--status", "failed") == 1)
        #expect(try count("--mine") == 2)
        #expect(try count("--dataset", "faces") == 2)
        #expect(try count("--dataset", "faces@v1") == 0)
        #expect(try count("--dataset", "faces@v2") == 2)
        #expect(try count("--since", "1h") == 2)
        #expect(try count("--until", "1h") == 0)
        try sandbox.expect(64, "runs", "--status", "odd")
        try sandbox.expect(11, "runs", "--dataset", "nothing")
        try sandbox.expect(11, "runs", "--since", "2999-01-01")
        let text = try sandbox.expect(0, "runs").output
        #expect(text.contains("faces@v2") && text.contains("python a.py"))
    }

    @Test func logsGoWhereTheJobSentThem() throws {
        _ = try sandbox.recordRun(command: ["x"], outcome: .succeeded, logs: ["stdout": "out\n", "stderr": "err\n"])
        let both = try sandbox.expect(0, "logs", "latest")
        #expect(both.output == "out\n" && both.error == "err\n")
        #expect(try sandbox.expect(0, "logs", "latest", "--stderr").output == "err\n")
        #expect(try sandbox.expect(0, "logs", "-f", "latest", "--stdout").output == "out\n")
        #expect(try sandbox.expect(0, "logs", "latest", "--json").rows().map { $0["stream"] } == ["stdout", "stderr"])
        try sandbox.expect(11, "logs", "deadbeef")
        #expect(try sandbox.expect(0, "ls", "run:latest/logs", "-q").output == "stderr\nstdout\n")
    }

    /// What the mount has in a run's directory, without a mount.
    @Test func documentsOfARun() throws {
        let id = try sandbox.recordRun(
            command: ["x"], outcome: .succeeded, logs: ["stdout": "out\n", "metrics.jsonl": "{}\n"])
        #expect(try sandbox.expect(0, "cat", "run:latest/status").output == "succeeded\n")
        #expect(try sandbox.expect(0, "cat", "run:latest/metrics.jsonl").output == "{}\n")
        let record = try JSONValue.parse(try sandbox.expect(0, "cat", "run:latest/record.json").output)
        #expect(record["run"] == .string(id.description))
        #expect(try JSONValue.parse(sandbox.expect(0, "cat", "run:latest/host.json").output)["format"] == "dfs.host/1")
        #expect(try sandbox.expect(0, "ls", "run:latest/metrics.jsonl", "-q").output == "metrics.jsonl\n")
        let data = try sandbox.expect(0, "ls", "run:latest/data", "--json").rows()
        #expect(data.map { $0["part"] } == ["data/faces"])
        try sandbox.expect(11, "cat", "run:latest/other.json")
        #expect(try sandbox.expect(64, "du", "run:latest/data").error.contains("hint: dfs ls run:latest/data"))
        #expect(try sandbox.expect(64, "show", "run:latest/status").error.contains("hint: dfs cat run:latest/status"))
    }

    @Test func hostSaysWhatItIs() throws {
        let json = try JSONValue.parse(try sandbox.expect(0, "host", "--json").output)
        #expect(json["schema"] == "dfs.host/1" && json["stable"]?["kernel"]?["system"] == "Linux")
        #expect(json["stable"]?["gpu"] != nil)
        #expect(try sandbox.expect(0, "host").output.contains("kernel.release"))
    }

    @Test func doctorLooksIntoTheStore() throws {
        let json = try JSONValue.parse(try sandbox.expect(0, "doctor", "--json").output)
        let subjects = Set(json["findings"]?.array?.compactMap { $0["subject"]?.string } ?? [])
        #expect(
            subjects.isSuperset(of: ["opens", "index", "ledger", "own key", "clock", "space", "runs", "tmp", "fuse"]))
        let old = sandbox.store + "/tmp/left"
        try sandbox.write("left", to: "home/.local/share/dfs/store/tmp/left")
        try sandbox.write("fresh", to: "home/.local/share/dfs/store/tmp/fresh")
        let writing = try OwnedDescriptor.open(sandbox.store + "/tmp/writing", O_RDWR | O_CREAT)
        var times = [timespec(tv_sec: 1_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000, tv_nsec: 0)]
        try #require(utimensat(AT_FDCWD, old, &times, 0) == 0)
        let found = try sandbox.expect(0, "doctor").output
        #expect(found.contains("2 files left by interrupted commands") && found.contains("1 file being written"))
        #expect(try sandbox.expect(0, "doctor", "--repair").output.contains("swept 2 files"))
        #expect(
            try DirectoryListing.names(of: sandbox.store + "/tmp").map { String(decoding: $0, as: UTF8.self) } == [
                "writing"
            ])
        // A command that is about to end removes what it writes.
        Temporaries(store: sandbox.store).removeOwn()
        #expect(!Files.exists(sandbox.store + "/tmp/writing"))
        withExtendedLifetime(writing) {}
    }
}
