import DFSLedger
import DFSModel
import DFSSystem
import DFSTestSupport
import Testing

@testable import DFSCommands

/// compare, note, and runs by what they logged.
@Suite struct CompareTests {
    private let sandbox: Sandbox

    init() throws {
        sandbox = try Sandbox()
        try sandbox.commitTwice()
    }

    private func run(_ metrics: String, command: [String] = ["train"], outcome: RunOutcome = .succeeded) throws -> RunID
    {
        try sandbox.recordRun(command: command, outcome: outcome, logs: ["metrics.jsonl": metrics])
    }

    @Test func twoRunsSideBySide() throws {
        let a = try run("{\"step\":1,\"acc\":0.5}\n{\"step\":2,\"acc\":0.75,\"loss\":NaN}\n")
        let b = try run("{\"step\":1,\"acc\":0.875}\n{\"params\":{\"lr\":0.1}}\n", command: ["train", "--fast"])
        let answer = try sandbox.expect(1, "compare", a.description, b.description, "--json")
        let json = try JSONValue.parse(answer.output)
        #expect(json["schema"] == "dfs.compare/1" && json["isSameResult"] == false)
        let differing = Set((json["differing"]?.array ?? []).compactMap(\.string))
        #expect(differing.isSuperset(of: ["arguments", "code", "metrics", "parameters", "outputs"]))
        #expect(!differing.contains("data") && !differing.contains("host") && !differing.contains("exit"))
        let acc = try #require(json["metrics"]?.array?.first { $0["metric"] == "acc" })
        #expect(
            acc["a"]?["last"] == ["value": .double(0.75), "step": 2] && acc["b"]?["last"]?["value"] == .double(0.875))
        #expect(acc["delta"] == .double(0.125) && acc["a"]?["min"]?["value"] == .double(0.5))
        let loss = try #require(json["metrics"]?.array?.first { $0["metric"] == "loss" })
        #expect(loss["b"] == nil && loss["delta"] == nil && loss["a"]?["last"]?["value"] == "NaN")
        #expect(json["parameters"]?["lr"] == ["a": nil, "b": .double(0.1)])
        #expect(json["outputs"]?["files"]?.array?.first?["state"] == "different")
        let text = try sandbox.expect(1, "compare", a.short, b.short).output
        #expect(text.contains("0.75") && text.contains("+0.125") && text.contains("different: "), "\(text)")
    }

    /// A run is the same as itself, also where what it logged is not a number.
    @Test func aRunIsItself() throws {
        let a = try run("{\"loss\":NaN}\n")
        let json = try JSONValue.parse(try sandbox.expect(0, "compare", a.short, a.short, "--json").output)
        #expect(json["differing"] == [] && json["isSameResult"] == true)
        #expect(try sandbox.expect(0, "compare", a.short, a.short).output.contains("no difference"))
        try sandbox.expect(11, "compare", a.short, "deadbeef")
    }

    @Test func dataThatDiffersIsNamed() throws {
        let a = try run("{}\n")
        try sandbox.write("more\n", to: "work/src/more.txt")
        try sandbox.expect(0, "commit", "faces", "src")
        let b = try run("{}\n")
        let json = try JSONValue.parse(try sandbox.expect(1, "compare", a.short, b.short, "--json").output)
        let data = try #require(json["data"]?.array?.first)
        #expect(data["key"] == "faces" && data["isSame"] == false)
        #expect(data["a"]?["version"] == 2 && data["b"]?["version"] == 3)
        #expect(data["files"]?["onlyB"] == 1 && data["files"]?["files"]?.array?.first?["path"] == "more.txt")
        #expect(try sandbox.expect(1, "compare", a.short, b.short).output.contains("more.txt"))
    }

    @Test func runsByWhatTheyLogged() throws {
        let low = try run("{\"acc\":0.5}\n{\"params\":{\"lr\":0.1,\"name\":\"a, \\\"b\\\"\"}}\n")
        let high = try run("{\"acc\":0.95}\n{\"params\":{\"lr\":0.01}}\n")
        let none = try run("not json\n", outcome: .failed)
        func runs(_ arguments: String...) throws -> [String] {
            let answer = try sandbox.call(["runs", "--quiet"] + arguments)
            #expect(answer.code == 0, "\(arguments): \(answer.error)")
            return answer.output.split(separator: "\n").map(String.init)
        }
        #expect(try runs("--where", "acc > 0.9") == [high.short])
        #expect(try runs("--where", "not acc > 0.9") == [low.short])
        #expect(try runs("--where", "status = failed") == [none.short])
        #expect(try runs("--where", "params.lr >= 0.1 or status = failed") == [none.short, low.short])
        #expect(try runs("--sort", "acc") == [high.short, low.short, none.short])
        #expect(try runs("--sort", "acc", "--reverse") == [low.short, high.short, none.short])
        #expect(try runs("--reverse") == [low.short, high.short, none.short])
        let row = try #require(try sandbox.expect(0, "runs", "--where", "acc > 0.9", "--json").rows().first)
        #expect(row["values"] == ["acc": .double(0.95)] && row["parameters"]?["lr"] == .double(0.01))
        #expect(try sandbox.expect(0, "runs", "--sort", "acc").output.contains("acc=0.95"))
        let error = try sandbox.expect(64, "runs", "--where", "acc >> 1").error
        #expect(error.contains("at character 6"), "\(error)")
        try sandbox.expect(64, "runs", "--csv", "--json")
        let sheet = try sandbox.expect(0, "runs", "--csv").output.split(separator: "\n")
        #expect(sheet.count == 4 && sheet[0].hasSuffix(",command,metrics.acc,params.lr,params.name"), "\(sheet)")
        #expect(sheet.last?.hasSuffix(",train,0.5,0.1,\"a, \"\"b\"\"\"") == true, "\(sheet)")
    }

    @Test func staleRunsReadWhatHasANewerVersion() throws {
        let old = try run("{}\n")
        #expect(try sandbox.expect(0, "runs", "--stale", "-q").output.isEmpty)
        try sandbox.write("more\n", to: "work/src/more.txt")
        try sandbox.expect(0, "commit", "faces", "src")
        _ = try run("{}\n")
        #expect(try sandbox.expect(0, "runs", "--stale", "-q").output == old.short + "\n")
    }

    @Test func notesAreAddedAndShown() throws {
        let id = try run("{}\n")
        try sandbox.expect(64, "note", id.short, "  ")
        try sandbox.expect(0, "note", id.short, "looks good")
        try sandbox.expect(0, "note", "run:" + id.short, "on second thought: no")
        let shown = try sandbox.expect(0, "show", id.short).output
        #expect(shown.contains("looks good") && shown.contains("on second thought"), "\(shown)")
        let json = try JSONValue.parse(try sandbox.expect(0, "show", id.short, "--json").output)
        #expect(json["notes"]?.array?.compactMap { $0["note"]?.string } == ["looks good", "on second thought: no"])
        try sandbox.expect(0, "verify")
        try sandbox.expect(0, "audit", "verify")
    }

    @Test func hoursOfGPUsWhereTheyAreRecorded() {
        #expect(
            GPUHours.of(["usage": ["gpu-time": ["reserved_milliseconds": 7_200_000, "busy_milliseconds": 1_800_000]]])
                == "0.5 busy of 2 reserved")
        #expect(
            GPUHours.of([
                "usage": ["gpu-time": ["reserved_milliseconds": 3_600_000, "busy_milliseconds": ["unknown": "x"]]]
            ])
                == "1 reserved")
        #expect(GPUHours.of(["usage": ["gpu-time": ["none": "no GPU"]]]) == nil && GPUHours.of([:]) == nil)
    }

    @Test func valuesAreShort() {
        for (value, text) in [
            (0.123456789, "0.123457"), (1.5, "1.5"), (-0.15, "-0.15"), (12345.678, "12345.7"), (3, "3"),
            (0.000012345, "1.2345e-5"), (1.25e12, "1.25e12"), (0, "0"), (.nan, "NaN"), (-.infinity, "-Infinity"),
            (0.99999999, "1"), (99999.99, "100000"),
        ] { #expect(MetricText.of(value) == text) }
    }
}
