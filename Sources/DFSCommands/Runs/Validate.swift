import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns

/// `dfs validate`: does a run's result hold with new code, new data, on this machine?
struct Validate: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Repeat a run with old and new code and data, and say what a difference comes from.",
        discussion: """
            Each cell (old or new code with old or new data) runs at least twice. What differs by no more than \
            repetitions do is within noise and put down to nothing. Exit 1: beyond tolerance; 3: inconclusive.
            """)

    @Argument(help: "The run whose result is validated.") var run: String
    @Option(help: ArgumentHelp("The new code: a directory, or code:PROJECT@SNAPSHOT.", valueName: "PATH|REF"))
    var newCode: String?
    @Option(help: ArgumentHelp("The new data of a key, repeatable.", valueName: "KEY=REF")) var newData: [String] = []
    @Option(
        help: ArgumentHelp(
            "How much a metric may differ, repeatable (default: all metrics, not at all).", valueName: "METRIC=NUMBER"))
    var tolerance: [String] = []
    @Option(name: .customLong("repeat"), help: "How often each cell runs, at least 2.") var repetitions = 2
    @OptionGroup var repeating: RepeatOptions
    @Flag(help: "Only show what would be run.") var plan = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        guard (2...1000).contains(repetitions) else {
            throw ValidationError("--repeat takes 2 or more: one run says nothing of its noise")
        }
    }

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        try AttachedRun.refuse("dfs validate", context.environment)
        let repository = try context.repository()
        context.closeDeadRuns(repository)
        let resolver = try context.resolver(repository)
        let recorded = try RecordedRun(try context.run(run, resolver), repository, resolver.state)
        let choice = CodeChoice(context: context, repository: repository, resolver: resolver)
        let validation = try Validation(
            recorded: recorded, newCode: try newCode.map { text throws(DFSError) in try choice.code(text) },
            newData: newData, tolerances: try tolerance.map { text throws(DFSError) in try Tolerance.parse(text) },
            repetitions: repetitions, repeating: repeating, context: context, repository: repository)
        validation.announce()
        if plan {
            if context.output.format == .json {
                try context.output.object("dfs.validate.plan/1", validation.planRecord)
            }
            return .done
        }
        let report = try validation.run()
        try context.output.report(report)
        return switch report.verdict.outcome {
        case .confirmed: .done
        case .different: .differences
        case .inconclusive: .inconclusive
        }
    }
}
