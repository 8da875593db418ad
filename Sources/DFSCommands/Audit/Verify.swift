import ArgumentParser
import DFSHistory
import DFSModel
import DFSSystem

/// `dfs verify`: checks the store against itself.
struct Verify: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check that everything recorded is there and sound; exit 1 when it is not.")

    @Flag(help: "Read every stored byte.") var data = false
    @Flag(help: "Also compare every large file with its own digest.") var files = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        let report = try context.progress.track("verify") { activity throws(DFSError) in
            let checker = Checker(
                repository: repository, threads: context.jobs, bytes: activity.bytes,
                expected: data || files ? activity.expectedBytes : Counter())
            return try checker.run(data: data || files, files: files)
        }
        try context.output.report(VerifyReport(report: report, location: repository.root))
        if report.problems.isEmpty { return .done }
        return .differences
    }
}

struct VerifyReport: Report {
    static let schema = "dfs.verify/1"

    let report: Checker.Report
    let location: String

    var json: [String: JSONValue] {
        [
            "store": .string(location), "entries": .integer(Int64(report.entries)),
            "packs": .integer(Int64(report.packs)), "objects": .integer(Int64(report.objects)),
            "bytes": .integer(Int64(report.bytes)), "unreferenced": .integer(Int64(report.unreferenced)),
            "sound": .bool(report.problems.isEmpty),
            "problems": .array(
                report.problems.map { problem in
                    [
                        "what": .string(problem.what), "affects": .array(problem.affects.map { .string($0) }),
                        "more": .integer(Int64(problem.more)),
                    ]
                }),
        ]
    }

    func print(to output: Output) throws(DFSError) {
        for problem in report.problems {
            try output.line(output.style.paint("problem:", .bad) + " " + NameText.display(Array(problem.what.utf8)))
            for place in problem.affects { try output.line("  affects " + NameText.display(Array(place.utf8))) }
            if problem.more > 0 { try output.line("  and \(Quantity.number(problem.more)) more") }
        }
        let counts = [
            Quantity.count(report.entries, "entry", plural: "entries"), Quantity.count(report.packs, "pack"),
            Quantity.count(report.objects, "object"), "\(ByteCount(UInt64(report.bytes))) read",
        ]
        let verdict = report.problems.isEmpty ? "no problems" : Quantity.count(report.problems.count, "problem")
        try output.line(counts.joined(separator: ", ") + ": " + verdict)
        if report.unreferenced > 0 {
            output.say(
                "\(Quantity.count(report.unreferenced, "pack")) that no entry names, from interrupted commits or running ones"
            )
        }
    }
}
