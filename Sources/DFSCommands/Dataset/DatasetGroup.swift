import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel

/// `dfs dataset`: what is done to a dataset as a whole, and to its history.
struct DatasetGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dataset", abstract: "Take versions out of a dataset, or a whole dataset.",
        subcommands: [DatasetRemove.self, DatasetRename.self])
}

/// `dfs dataset rm`
struct DatasetRemove: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Take a version, or all versions of a dataset, out of history.",
        discussion: "That it was there, who removed it, when and why stays known. dfs gc frees the space.")

    @Argument(help: "NAME for all its versions, NAME@REF for one.") var reference: String
    @Option(help: "Why. It is kept for ever.") var reason: String
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        let resolver = try context.resolver(repository)
        guard case .dataset(let name, let selector, let path) = try context.reference(reference, resolver.state),
            path.isEmpty
        else {
            throw DFSError(
                .usage, "\(reference) cannot be removed", cause: "versions and datasets can",
                hint: "dfs dataset rm --help")
        }
        var version: Int?
        if reference.contains("@") { version = try resolver.version(name, selector).number }
        var removal = Removal(repository: repository, dataset: name, version: version, reason: reason)
        removal.host = context.identity()
        let outcome = try removal.run(by: try context.signer())
        try context.output.report(RemovalReport(dataset: name, outcome: outcome))
        return .done
    }
}

/// `dfs dataset rename` says what it is not.
struct DatasetRename: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "rename", abstract: "Give a dataset another name (not built yet).")

    @Argument(help: "The name it has.") var name: String
    @Argument(help: "The name it is to have.") var newName: String
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        throw DFSError(
            .usage, "datasets cannot be renamed yet", cause: "a version under the new name shares all its bytes",
            hint: "dfs commit \(ShellText.quote(newName)) \(ShellText.quote(name))@latest")
    }
}

struct RemovalReport: Report {
    static let schema = "dfs.dataset-rm/1"

    let dataset: String
    let outcome: Removal.Outcome

    var json: [String: JSONValue] {
        [
            "dataset": .string(dataset), "time": .string(outcome.time.description),
            "versions": .array(outcome.versions.map { .integer(Int64($0.number)) }),
            "tags": .array(outcome.tags.map { .string($0) }),
            "readByRuns": .array(outcome.read.map { .integer(Int64($0)) }),
            "latest": outcome.latest.map { .integer(Int64($0)) } ?? .null,
        ]
    }

    func print(to output: Output) throws(DFSError) {
        let numbers = outcome.versions.map { "v\($0.number)" }
        let some = numbers.count > 8 ? "\(Quantity.number(numbers.count)) versions" : numbers.joined(separator: ", ")
        let latest = outcome.latest.map { "latest is v\($0)" } ?? "no version is left"
        try output.line("\(dataset): removed \(some); \(latest)")
        if !outcome.tags.isEmpty {
            output.say("tags that stood there are gone: \(outcome.tags.joined(separator: ", "))")
        }
        if !outcome.read.isEmpty {
            let read = outcome.read.map { "v\($0)" }.joined(separator: ", ")
            output.say("runs read \(read): there, below data/, it stays readable, and its space is not freed")
        }
        output.say("its space is freed by: dfs gc --yes")
    }
}
