import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns

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
    @Option(
        name: .customLong("where"),
        help: ArgumentHelp(
            "Only runs for which this holds: 'acc > 0.9 and not (status = failed or params.lr >= 1e-2)'.",
            valueName: "condition"))
    var condition: String?
    @Option(
        help: ArgumentHelp("Order by a metric, parameter, seed, exit, duration: the largest first.", valueName: "name"))
    var sort: String?
    @Flag(help: "The other way round.") var reverse = false
    @Flag(help: "Only runs whose data has a newer version.") var stale = false
    @Flag(help: "A table for spreadsheets, with all metrics (their last values) and parameters.") var csv = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    private static let statuses = ["running", "succeeded", "failed", "interrupted"]

    func validate() throws {
        if mine, allUsers { throw ValidationError("--mine and --all-users exclude each other") }
        if let status, !Self.statuses.contains(status) {
            throw ValidationError("--status takes \(Self.statuses.joined(separator: ", ")), not \(status)")
        }
        if csv, global.json { throw ValidationError("--csv and --json exclude each other") }
    }

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let condition = try condition.map { text throws(DFSError) in try RunCondition(text) }
        let repository = try context.repository()
        context.closeDeadRuns(repository)
        let resolver = try context.resolver(repository)
        let filter = try Filter(self, context, resolver)
        let table = RunTable(
            repository: repository, names: (condition?.names ?? []) + (sort.map { [$0] } ?? []), readsAll: csv)
        let list = RunList(output: context.output, table: table, isCSV: csv)
        var kept = [RunTable.Line]()
        let runs = reverse && sort == nil ? Array(resolver.state.runs) : resolver.state.runs.reversed()
        for run in runs where filter.accepts(run) {
            let facts = RunFacts.make(run, repository, now: context.clock())
            if let status, facts.status != status { continue }
            let line = try table.line(facts)
            if let condition, !condition.holds(line.values.value) { continue }
            // What is not sorted is printed as it is found.
            if sort == nil, !csv { try list.add(line) } else { kept.append(line) }
        }
        if let sort { kept = RunTable.sorted(kept, by: sort, largestFirst: !reverse) }
        try list.finish(kept)
        return .done
    }

    private struct Filter {
        let key: KeyID?
        let dataset: (name: String, version: Int?)?
        let tag: String?
        let since, until: Timestamp?
        /// What datasets stand at, where only stale runs are asked for.
        let latest: [String: Int]?

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
            latest = command.stale ? resolver.state.datasets.compactMapValues { $0.latest?.number } : nil
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
            if let latest, !run.data.contains(where: { $0.version < latest[$0.dataset] ?? 0 }) { return false }
            guard let dataset else { return true }
            return run.data.contains {
                $0.dataset == dataset.name && (dataset.version == nil || $0.version == dataset.version)
            }
        }
    }
}
