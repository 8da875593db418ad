import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel

/// `dfs audit verify`: the ledger from its first entry, and all that runs reach.
struct AuditVerify: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check chain, signatures and texts, and with a run everything it reaches.")

    @Option(help: "Also everything that this run reaches.") var run: String?
    @Flag(help: "Also everything that any run reaches.") var allRuns = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        var scope = allRuns ? Audit.Scope.allRuns : .ledger
        if let run, !allRuns { scope = .run(try context.run(run, try context.resolver(repository)).id) }
        let report = try context.progress.track("audit") { activity throws(DFSError) in
            try Audit(repository: repository, progress: activity.bytes).run(scope)
        }
        try context.output.report(AuditReport(report: report))
        return report.problems.isEmpty ? .done : .differences
    }
}

struct AuditReport: Report {
    static let schema = "dfs.audit-verify/1"

    let report: Audit.Report

    private var notes: [String] {
        let state = report.ledger.state
        return report.ledger.unvouchedKeys.map { "key \($0.text) has no owner behind it" }
            + state.rejected.map { "entry \($0.sequence): event \($0.kind) is passed over: \($0.reason)" }
            + report.ledger.passedOver.map { "entry \($0.sequence): \($0.what) is not known to this version" }
    }

    var json: [String: JSONValue] {
        [
            "entries": .integer(Int64(report.ledger.entries)), "keys": .integer(Int64(report.ledger.keys.count)),
            "texts": .integer(Int64(report.texts)), "objects": .integer(Int64(report.objects)),
            "sound": .bool(report.problems.isEmpty), "problems": .array(report.problems.map { .string($0) }),
            "notes": .array(notes.map { .string($0) }),
            "head": .string(report.ledger.state.head.digest.text),
        ]
    }

    func print(to output: Output) throws(DFSError) {
        for problem in report.problems {
            try output.line(output.style.paint("problem:", .bad) + " " + NameText.display(Array(problem.utf8)))
        }
        for note in notes { try output.line("note: " + NameText.display(Array(note.utf8))) }
        let verdict = report.problems.isEmpty ? "no problems" : Quantity.count(report.problems.count, "problem")
        try output.line(
            "\(Quantity.count(report.ledger.entries, "entry", plural: "entries")), "
                + "\(Quantity.count(report.ledger.keys.count, "key")), \(Quantity.count(report.texts, "text")), "
                + "\(Quantity.count(report.objects, "object")) checked: \(verdict)")
    }
}
