import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns

/// `dfs rerun`: the same run again, here.
struct Rerun: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "rerun", abstract: "Run again what a run was: same code, data, arguments, seed, environment.",
        discussion: "Each option changes one thing and leaves the others as they were.")

    static var exitTable: ExitCode.Table { .launch }

    @Argument(help: "The run.") var run: String
    @Option(help: ArgumentHelp("Other data for a key, repeatable.", valueName: "KEY=REF")) var data: [String] = []
    @Option(help: ArgumentHelp("Other code: a directory, or code:PROJECT@SNAPSHOT.", valueName: "PATH|REF"))
    var code: String?
    @Option(help: "Another seed.") var seed: UInt32?
    @OptionGroup var repeating: RepeatOptions
    @Option(help: "A tag for the new run.") var tag: String?
    @Option(help: "A note for the new run.") var note: String?
    @Flag(help: "Only say what would differ; exit 1 where something does.") var report = false
    @Flag(help: "Compare outputs and metrics with the run's; exit 118 where they differ.") var check = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if report, check { throw ValidationError("--report starts nothing, so there is nothing to --check") }
    }

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        context.closeDeadRuns(repository)
        let resolver = try context.resolver(repository)
        let recorded = try RecordedRun(try context.run(run, resolver), repository, resolver.state)
        var changes = RecordedRun.Changes(data: data)
        changes.code = try code.map { text throws(DFSError) in
            try CodeChoice(context: context, repository: repository, resolver: resolver).code(text)
        }
        changes.seed = seed
        (changes.environment, changes.ignored) = (repeating.env, repeating.ignoreEnv)
        var request = try recorded.request(changes, context)
        (request.tag, request.note) = (tag, note)
        let launched = try RunLauncher(context: context, repository: repository).launch(request)
        guard check, launched.code == .done else { return launched.code }
        return launched.code
    }
}
