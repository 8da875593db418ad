import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns

/// `dfs compare`: two runs side by side.
struct Compare: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Show how two runs differ in what they were given and what they left; exit 1 when they do.",
        discussion: "Times, use of resources, logs and what a terminal sets are shown and never count as a difference.")

    @Argument(help: "The one run.") var a: String
    @Argument(help: "The other run.") var b: String
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        context.closeDeadRuns(repository)
        let resolver = try context.resolver(repository)
        let comparison = try RunComparison.make(
            try context.run(a, resolver), try context.run(b, resolver), repository)
        for problem in comparison.problems { context.output.warn(problem) }
        try context.output.report(CompareReport(comparison: comparison))
        return comparison.differing.isEmpty ? .done : .differences
    }
}
