import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel

/// `dfs tag`: names a version or a run.
struct Tag: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "tag", abstract: "Name a version or a run; with --delete, take a name away.")

    @Argument(help: "What: NAME@REF or a run. With --delete: the dataset or run.") var subject: String
    @Argument(help: "The tag.") var tag: String
    @Flag(help: "Move a tag that stands on another version.") var move = false
    @Flag(help: "Take the tag away.") var delete = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    /// For commands that set a tag at their end: what `set` would refuse then.
    static func check(_ tag: String) throws(DFSError) {
        guard let problem = TagName.problem(tag) else { return }
        throw DFSError(.usage, "\(tag) cannot be a tag", cause: problem, hint: "dfs tag --help")
    }

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        let resolver = try context.resolver(repository)
        let tagging = Tagging(repository: repository)
        if let run = try context.run(named: subject, resolver) {
            let signer = try context.signer()
            if delete {
                try tagging.remove(tag, run: run.id, by: signer)
            } else {
                try tagging.set(tag, run: run.id, by: signer)
            }
            try context.output.report(
                TagReport(tag: tag, isSet: !delete, dataset: nil, version: nil, run: run.id))
            return .done
        }
        guard case .dataset(let name, let selector, let path) = try context.reference(subject, resolver.state),
            path.isEmpty
        else {
            throw DFSError(
                .usage, "\(subject) cannot have a tag", cause: "tags stand on versions of datasets and on runs",
                hint: "dfs tag --help")
        }
        let version = try resolver.version(name, selector)
        if delete {
            try tagging.remove(tag, dataset: name, by: try context.signer())
        } else {
            try tagging.set(tag, dataset: name, version: version.number, move: move, by: try context.signer())
        }
        try context.output.report(
            TagReport(tag: tag, isSet: !delete, dataset: name, version: delete ? nil : version.number, run: nil))
        return .done
    }
}

struct TagReport: Report {
    static let schema = "dfs.tag/1"

    let tag: String
    let isSet: Bool
    let dataset: String?
    let version: Int?
    let run: RunID?

    var json: [String: JSONValue] {
        var members: [String: JSONValue] = ["tag": .string(tag), "set": .bool(isSet)]
        if let dataset { members["dataset"] = .string(dataset) }
        if let version { members["version"] = .integer(Int64(version)) }
        if let run { members["run"] = .string(run.description) }
        return members
    }

    func print(to output: Output) throws(DFSError) {
        let holder = run.map { "run \($0.short)" } ?? (dataset ?? "") + (version.map { " v\($0)" } ?? "")
        try output.line(isSet ? "\(holder) is tagged \(tag)" : "\(holder) lost the tag \(tag)")
    }
}
