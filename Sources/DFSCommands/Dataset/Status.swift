import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem

/// `dfs status`: what a commit would record.
struct Status: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show what a commit would record; exit 1 when it would.")

    @Argument(help: "The dataset (default: the one that dfs.toml names).") var name: String?
    @Argument(help: "The directory (default: what was used last).") var path: String?
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        try context.warnOfProject()
        let repository = try context.repository()
        let choice = try SourceChoice.make(name, path, context, repository)
        guard !choice.isReference else {
            throw DFSError(
                .usage, "\(choice.source) is not a directory", cause: "status compares a directory",
                hint: "dfs diff \(choice.dataset) \(choice.source)")
        }
        guard Files.isDirectory(choice.source) else {
            throw DFSError(
                .operational, "\(choice.source) is not a directory", cause: "\(choice.dataset) would be made from it",
                hint: "dfs status \(choice.dataset) .")
        }
        let state = try repository.state()
        let latest = state.datasets[choice.dataset]?.latest
        let comparison = SourceComparison(
            reader: repository.reader,
            cache: try repository.statCache(scope: "dataset/" + choice.dataset, latest: latest?.record, in: state),
            filter: try SourceFilter(root: choice.source), threads: context.jobs)
        let result = try context.progress.track("status \(choice.dataset)") { _ throws(DFSError) in
            try comparison.run(choice.source, against: latest.map { .root($0.tree, modified: $0.time) })
        }
        let list = context.output.list(of: StatusRow.self)
        for change in result.changes { try list.add(StatusRow(dataset: choice.dataset, change: change)) }
        try list.finish()
        if !result.special.isEmpty {
            let names = result.special.prefix(5).map { NameText.display($0) }.joined(separator: ", ")
            context.output.warn("a commit needs --skip-special: \(names)")
        }
        let wouldRecord = latest == nil || !result.changes.isEmpty
        let standing = latest.map { "v\($0.number)" } ?? "nothing yet"
        let ignored = result.ignored > 0 ? ", \(Quantity.number(result.ignored)) ignored" : ""
        context.output.say(
            wouldRecord
                ? "\(choice.dataset): \(Quantity.count(result.changes.count, "change")) against \(standing) in \(choice.source)\(ignored)"
                : "\(choice.dataset): \(choice.source) is \(standing)\(ignored)")
        return wouldRecord ? .differences : .done
    }
}

private struct StatusRow: Row {
    static let schema = "dfs.status/1"
    static let columns = [Column("change"), Column("size", .right), Column("path")]

    let dataset: String
    let change: TreeChange

    private var entry: TreeEntry? { change.after ?? change.before }

    var json: [String: JSONValue] {
        [
            "dataset": .string(dataset), "change": .string(change.kind.rawValue),
            "path": .string(NameText.encode(change.path)), "type": .string(entry?.kindName ?? ""),
            "size": .integer(Int64(clamping: entry?.size ?? 0)),
        ]
    }

    var cells: [Cell] {
        let isDirectory = entry?.kind == .directory
        return [
            .text(change.kind.rawValue, change.kind.role), isDirectory ? .text("") : .size(entry?.size ?? 0),
            .name(change.path + (isDirectory ? [UInt8(ascii: "/")] : [])),
        ]
    }

    var key: Cell { .name(change.path) }
}
