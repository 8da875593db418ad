import ArgumentParser
import DFSHistory
import DFSLaunch
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
    @Option(help: ArgumentHelp("Refuse a host that differs more: identical, same-numerics, …", valueName: "class"))
    var require: String?
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
        try AttachedRun.refuse("dfs rerun", context.environment)
        let repository = try context.repository()
        context.closeDeadRuns(repository)
        let resolver = try context.resolver(repository)
        let recorded = try RecordedRun(try context.run(run, resolver), repository, resolver.state)
        var changes = RecordedRun.Changes(data: data)
        changes.code = try code.map { text throws(DFSError) in
            try CodeChoice(context: context, repository: repository, resolver: resolver).code(text)
        }
        changes.seed = seed
        changes.environment = repeating.env
        // A report tells of all that differs.
        changes.ignored = report ? ["all"] : repeating.ignoreEnv
        var request = try recorded.request(changes, context)
        (request.tag, request.note, request.require) = (tag, note, require)
        if report {
            let host = try context.hostRequest(arguments: request.command, environment: request.environment)
            let then = try RunHost.record(of: recorded.run, repository)
            let now = HostFacts.capture(host).value
            let capabilities = context.capabilities(repository)
            if capabilities.namespace == .none { request.environmentMounts = nil }
            let hasEnvironment = DriftCheck.hasEnvironment(request, capabilities)
            let drift = HostComparison.compare(
                then: then, now: hasEnvironment ? DriftCheck.adopting(then, in: now) : now)
            let answer = RerunReport(
                recorded.run.id, request, drift,
                recorded.environment.differences(request.environment.variables))
            try context.output.report(answer)
            return answer.isSame ? .done : .differences
        }
        let launched = try RunLauncher(context: context, repository: repository).launch(request)
        guard check, launched.code == .done else { return launched.code }
        return try compare(recorded.run, launched.run, repository, context)
    }

    private func compare(
        _ run: RunRecord, _ again: RunID, _ repository: Repository, _ context: CommandContext
    ) throws(DFSError) -> ExitCode {
        guard let record = try repository.state().run(again) else {
            throw DFSError(.launcher, "run \(again) is not in the ledger", hint: "dfs doctor")
        }
        let comparison = try RunComparison.make(run, record, repository)
        if comparison.isSameResult {
            context.output.say("outputs and metrics are those of run \(run.id.short)")
            return .done
        }
        let files = comparison.result == .outputs ? comparison.outputs : comparison.work
        var words = (files?.differing ?? []).prefix(3).map {
            "\(comparison.result == .outputs ? "output" : "file") \(NameText.encode($0.path)) is \($0.state == .different ? "different" : $0.state == .onlyA ? "missing" : "new")"
        }
        words += comparison.metrics.filter { !$0.isSame }.prefix(3).map { "metric \($0.name) differs" }
        let what = words.isEmpty ? "the results differ" : words.joined(separator: ", ")
        context.output.warn("\(what); dfs compare \(run.id.short) \(again.short)")
        return .outputsDiffer
    }
}
