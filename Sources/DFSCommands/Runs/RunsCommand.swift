import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel

/// `dfs runs`: the runs, newest first.
struct RunsCommand: DFSCommand {
    static let configuration = CommandConfiguration(commandName: "runs", abstract: "List the runs, newest first.")

    @Flag(help: "Only runs that your key started.") var mine = false
    @Flag(help: "Runs of all users (the default).") var allUsers = false
    @Option(help: ArgumentHelp("running, succeeded, failed or interrupted.", valueName: "status")) var status: String?
    @Option(help: ArgumentHelp("Only runs that read this dataset or version.", valueName: "ref")) var dataset: String?
    @Option(help: "Only runs with this tag.") var tag: String?
    @Option(help: ArgumentHelp("Only runs started at this time or later.", valueName: "time")) var since: String?
    @Option(help: ArgumentHelp("Only runs started at this time or before.", valueName: "time")) var until: String?
    @OptionGroup(title: "Global options") var global: GlobalOptions

    private static let statuses = ["running", "succeeded", "failed", "interrupted"]

    func validate() throws {
        if mine, allUsers { throw ValidationError("--mine and --all-users exclude each other") }
        if let status, !Self.statuses.contains(status) {
            throw ValidationError("--status takes \(Self.statuses.joined(separator: ", ")), not \(status)")
        }
    }

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        context.closeDeadRuns(repository)
        let resolver = try context.resolver(repository)
        let filter = try Filter(self, context, resolver)
        let list = context.output.list(of: RunRow.self)
        for run in resolver.state.runs.reversed() where filter.accepts(run) {
            let facts = RunFacts.make(run, repository, now: context.clock())
            if let status, facts.status != status { continue }
            try list.add(RunRow(facts: facts))
        }
        try list.finish(whenEmpty: "no such runs")
        return .done
    }

    private struct Filter {
        let key: KeyID?
        let dataset: (name: String, version: Int?)?
        let tag: String?
        let since, until: Timestamp?

        init(_ command: RunsCommand, _ context: CommandContext, _ resolver: Resolver) throws(DFSError) {
            if command.mine {
                let path = try context.directories.keyFile()
                guard let own = try KeyFile.publicKey(at: path) else {
                    throw DFSError(
                        .noReference, "you have no runs", cause: "you have no key: \(path) is not there",
                        hint: "dfs runs")
                }
                key = own.id
            } else {
                key = nil
            }
            tag = command.tag
            let now = context.clock()
            since = try command.since.map { text throws(DFSError) in
                try TimeExpression.parse(text, now: now, day: .start)
            }
            until = try command.until.map { text throws(DFSError) in try TimeExpression.parse(text, now: now) }
            guard let text = command.dataset else {
                dataset = nil
                return
            }
            guard case .dataset(let name, let selector, _) = try context.reference(text, resolver.state) else {
                throw DFSError(.usage, "\(text) names no dataset", hint: "dfs ls")
            }
            let version = try resolver.version(name, selector).number
            // A bare name means every version of it.
            dataset = (name, selector == .latest && !text.contains("@") ? nil : version)
        }

        func accepts(_ run: RunRecord) -> Bool {
            if let key, run.key != key { return false }
            if let tag, !run.tags.contains(tag) { return false }
            if let since, run.time < since { return false }
            if let until, run.time > until { return false }
            guard let dataset else { return true }
            return run.data.contains {
                $0.dataset == dataset.name && (dataset.version == nil || $0.version == dataset.version)
            }
        }
    }
}

struct RunRow: Row {
    static let schema = "dfs.runs/1"
    static let columns = [
        Column("run"), Column("name"), Column("status"), Column("started"), Column("duration", .right), Column("data"),
        Column("command"),
    ]

    let facts: RunFacts

    var json: [String: JSONValue] { facts.json }

    var cells: [Cell] {
        let data = facts.run.data.map { "\($0.dataset)@v\($0.version)" }.joined(separator: " ")
        return [
            .text(facts.run.id.short, .strong), .text(RunName.of(facts.run.id)), .text(facts.status, facts.role),
            .time(facts.run.time), .text(facts.durationText), .text(data), .text(facts.command),
        ]
    }
}
