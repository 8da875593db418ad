import ArgumentParser
import DFSHistory
import DFSModel
import DFSStore

/// `dfs du`: how much lies where.
struct DiskUsage: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "du", abstract: "Show how many files and bytes lie below each name of a tree.")

    @Argument(help: "A reference.") var reference: String
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        let target = try context.resolve(reference, try context.resolver(repository))
        let root = target.resolved.entry
        let list = context.output.list(of: UsageRow.self)
        if root.kind == .directory, let address = root.address {
            try repository.reader.forEach(in: address) { entry throws(DFSError) in
                let facts = EntryFacts(path: entry.name, entry: entry)
                try list.add(UsageRow(facts: facts, isTotal: false))
                return true
            }
        }
        let whole = EntryFacts(path: Array(target.resolved.text.utf8), entry: root)
        try list.add(UsageRow(facts: whole, isTotal: true))
        try list.finish()
        return .done
    }
}

private struct UsageRow: Row {
    static let schema = "dfs.du/1"
    static let columns = [Column("size", .right), Column("files", .right), Column("name")]

    let facts: EntryFacts
    let isTotal: Bool

    private var bytes: UInt64 { facts.entry.kind == .symlink ? 0 : facts.entry.size }
    private var files: UInt64 { facts.entry.kind == .directory ? facts.entry.files : 1 }

    var json: [String: JSONValue] {
        [
            "type": .string(facts.entry.kindName), "path": .string(NameText.encode(facts.path)),
            "bytes": .integer(Int64(clamping: bytes)), "files": .integer(Int64(clamping: files)),
            "total": .bool(isTotal),
        ]
    }

    var cells: [Cell] { [.size(bytes), .number(files), isTotal ? .name(facts.path, .strong) : facts.nameCell] }
    var key: Cell { .name(facts.path) }
}
