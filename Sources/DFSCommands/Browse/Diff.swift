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
    @Flag(help: "Only how much differs.") var stat = false
    @Flag(help: "Only the paths that differ.") var nameOnly = false
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
            return try TreeDiff(reader: repository.reader).changes(from: a, to: b, body)
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
        if let before = change.before { members["before"] = side(before) }
        if let after = change.after { members["after"] = side(after) }
        return members
    }

    private func side(_ entry: TreeEntry) -> JSONValue {
        [
            "type": .string(entry.kindName), "size": .integer(Int64(clamping: entry.size)),
            "content": .string(entry.content.digest.text), "executable": .bool(entry.isExecutable),
        ]
    }

    var cells: [Cell] {
        let role: Style.Role =
            switch change.kind {
            case .added: .good
            case .removed: .bad
            case .modified: .warning
            }
        let isDirectory = (change.after ?? change.before)?.kind == .directory
        return [
            .text(change.kind.rawValue, role), change.before.map { .size($0.size) } ?? .text(""),
            change.after.map { .size($0.size) } ?? .text(""),
            .name(change.path + (isDirectory ? [UInt8(ascii: "/")] : [])),
        ]
    }

    var key: Cell { .name(change.path) }
}

struct ChangeSummary: Report {
    static let schema = "dfs.diff/1"

    let old: String
    let new: String
    private var counts = [TreeChange.Kind: Int]()
    private var bytes: (added: UInt64, removed: UInt64) = (0, 0)

    init(old: String, new: String) {
        self.old = old
        self.new = new
    }

    var isEmpty: Bool { counts.isEmpty }

    mutating func add(_ change: TreeChange) {
        counts[change.kind, default: 0] += 1
        if let entry = change.after, entry.kind == .file { bytes.added += entry.size }
        if let entry = change.before, entry.kind == .file { bytes.removed += entry.size }
    }

    var json: [String: JSONValue] {
        var members: [String: JSONValue] = [
            "old": .string(old), "new": .string(new), "bytesAdded": .integer(Int64(clamping: bytes.added)),
            "bytesRemoved": .integer(Int64(clamping: bytes.removed)),
        ]
        for kind in [TreeChange.Kind.added, .removed, .modified] {
            members[kind.rawValue] = .integer(Int64(counts[kind] ?? 0))
        }
        return members
    }

    /// `faces@v1 -> faces@v2: 2 added, 1 removed, 0 modified`
    var sentence: String {
        if isEmpty { return "\(old) and \(new) hold the same" }
        let parts = [TreeChange.Kind.added, .removed, .modified].map {
            "\(Quantity.number(counts[$0] ?? 0)) \($0.rawValue)"
        }
        return "\(old) -> \(new): \(parts.joined(separator: ", "))"
    }

    func print(to output: Output) throws(DFSError) {
        try output.line(sentence + (isEmpty ? "" : "  (+\(ByteCount(bytes.added)), -\(ByteCount(bytes.removed)))"))
    }
}
