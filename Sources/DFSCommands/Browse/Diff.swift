import ArgumentParser
import DFSHistory
import DFSModel
import DFSStore

/// `dfs diff`: what differs between two trees or files.
struct Diff: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Show what differs between two trees; exit 1 when something does.")

    @Argument(help: "The old side.") var old: String
    @Argument(help: "The new side.") var new: String
    @Flag(help: "Only how much differs, for each top-level directory and in all.") var stat = false
    @Flag(help: "Only the paths that differ; of what was renamed, the new one.") var nameOnly = false
    @Flag(help: "Show what was renamed as removed and added, and each change as soon as it is found.")
    var noRenames = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        let resolver = try context.resolver(repository)
        let (a, b) = (try context.resolve(old, resolver).resolved, try context.resolve(new, resolver).resolved)
        var sum = ChangeSummary(old: a.text, new: b.text)
        let writer = ChangeWriter(context.output, namesOnly: nameOnly)
        try forEach(repository, a.entry, b.entry) { change throws(DFSError) in
            sum.add(change)
            if !stat { try writer.add(change) }
        }
        try writer.finish()
        if stat { try context.output.report(sum) } else if !nameOnly { context.output.say(sum.sentence) }
        return sum.isEmpty ? .done : .differences
    }

    private func forEach(
        _ repository: Repository, _ a: TreeEntry, _ b: TreeEntry, _ body: (TreeChange) throws(DFSError) -> Void
    ) throws(DFSError) {
        if a.kind == .directory, b.kind == .directory {
            let diff = TreeDiff(reader: repository.reader)
            return noRenames
                ? try diff.changes(from: a, to: b, body) : try diff.changesWithRenames(from: a, to: b, body)
        }
        if a.letter == b.letter, a.content == b.content { return }
        try body(TreeChange(kind: .modified, path: b.name, before: a, after: b))
    }
}

/// Prints changes as rows or as bare paths.
struct ChangeWriter {
    private let output: Output
    private let rows: ListWriter<ChangeRow>
    private let namesOnly: Bool

    init(_ output: Output, namesOnly: Bool) {
        self.output = output
        self.namesOnly = namesOnly
        rows = output.list(of: ChangeRow.self)
    }

    func add(_ change: TreeChange) throws(DFSError) {
        guard namesOnly, output.format == .text else { return try rows.add(ChangeRow(change: change)) }
        let path = output.isTerminal ? Array(NameText.display(change.path).utf8) : change.path
        try output.write(path + [UInt8(ascii: "\n")])
    }

    func finish() throws(DFSError) { try rows.finish() }
}

struct ChangeRow: Row {
    static let schema = "dfs.diff/1"
    static let columns = [Column("change"), Column("before", .right), Column("after", .right), Column("path")]

    let change: TreeChange

    var json: [String: JSONValue] {
        var members: [String: JSONValue] = [
            "change": .string(change.kind.rawValue), "path": .string(NameText.encode(change.path)),
        ]
        if let from = change.from { members["from"] = .string(NameText.encode(from)) }
        if let before = change.before { members["before"] = before.sideJSON }
        if let after = change.after { members["after"] = after.sideJSON }
        return members
    }

    var cells: [Cell] {
        let slash = (change.after ?? change.before)?.kind == .directory ? [UInt8(ascii: "/")] : []
        let from = change.from.map { $0 + slash + Array(" -> ".utf8) } ?? []
        return [
            .text(change.kind.rawValue, change.kind.role), change.before.map { .size($0.size) } ?? .text(""),
            change.after.map { .size($0.size) } ?? .text(""),
            .name(from + change.path + slash),
        ]
    }

    var key: Cell { .name(change.path) }
}

extension TreeChange.Kind {
    var role: Style.Role {
        switch self {
        case .added: .good
        case .removed: .bad
        case .modified: .warning
        case .renamed: .accent
        }
    }
}

extension TreeEntry {
    /// One side of a change.
    var sideJSON: JSONValue {
        [
            "type": .string(kindName), "size": .integer(Int64(clamping: size)),
            "content": .string(content.digest.text), "executable": .bool(isExecutable),
        ]
    }
}
