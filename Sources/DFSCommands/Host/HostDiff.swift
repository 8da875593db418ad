import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns

/// `dfs host diff`: how this machine differs from the one of a run, or those of two runs.
struct HostDiff: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Show how this machine, or that of a second run, differs from that of a run; exit 1 when it does.",
        discussion: "docs/DRIFT.md says what the classes mean and why a fact is in its class.")

    @Argument(help: "The run.") var run: String
    @Argument(help: "Another run, in place of this machine.") var other: String?
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        let resolver = try context.resolver(repository)
        let then = try context.run(run, resolver)
        let record = try RunHost.record(of: then, repository)
        let now: JSONValue
        var name = "this machine"
        if let other {
            let second = try context.run(other, resolver)
            now = try RunHost.record(of: second, repository)
            name = "run:\(second.id.short)"
        } else {
            // The same command line, so that the same interpreter is looked at.
            let arguments = ((try? repository.text(then.text)) ?? [:])["arguments"]?.array ?? []
            now = HostFacts.capture(try context.hostRequest(arguments: arguments.compactMap(\.string))).value
        }
        let report = HostComparison.compare(then: record, now: now)
        try context.output.report(DriftOutput(report: report, then: "run:\(then.id.short)", now: name))
        return report.driftClass == .identical ? .done : .differences
    }
}
