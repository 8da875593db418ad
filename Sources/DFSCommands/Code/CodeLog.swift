import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns

/// `dfs code log`: a project's snapshots, newest first.
struct CodeLog: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Show a project's snapshots, newest first.")

    @Argument(help: "The project (default: the one of this directory).") var project: String?
    @Option(name: .customShort("n"), help: "At most so many.") var limit: Int?
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        let state = try context.resolver(repository).state
        let name = try name(context, repository)
        guard let known = state.projects[name] else {
            let names = state.projects.keys.sorted()
            throw DFSError(
                .noReference, "no project \(name)",
                cause: names.isEmpty ? "no code was recorded yet" : "there are: \(names.joined(separator: ", "))",
                hint: "dfs code snapshot")
        }
        let snapshots = known.snapshots
        let list = context.output.list(of: SnapshotRow.self)
        let first = max(0, snapshots.count - max(0, limit ?? snapshots.count))
        for number in (first..<snapshots.count).reversed() {
            let changes = try SnapshotChanges(
                number > 0 ? snapshots[number - 1].tree : nil, snapshots[number].tree, repository)
            try list.add(SnapshotRow(project: name, snapshot: snapshots[number], changes: changes))
        }
        try list.finish()
        return .done
    }

    private func name(_ context: CommandContext, _ repository: Repository) throws(DFSError) -> String {
        if let project { return project.hasPrefix("code:") ? String(project.dropFirst(5)) : project }
        let directory = try context.directory(nil)
        let capture = try context.projectCapture(directory, repository, allowSecrets: nil)
        return capture.name(of: try capture.survey(from: directory).root)
    }
}

private struct SnapshotRow: Row {
    static let schema = "dfs.code-log/1"
    static let columns = [
        Column("time"), Column("snapshot"), Column("files", .right), Column("size", .right), Column("changes"),
        Column("key"),
    ]

    let project: String
    let snapshot: SnapshotRecord
    let changes: SnapshotChanges

    private var reference: String { "code:\(project)@\(snapshot.id)" }

    var json: [String: JSONValue] {
        changes.json.merging([
            "reference": .string(reference), "project": .string(project), "snapshot": .string(snapshot.id),
            "time": .string(snapshot.time.description), "files": .integer(Int64(clamping: snapshot.tree.files)),
            "bytes": .integer(Int64(clamping: snapshot.tree.bytes)),
            "content": .string(snapshot.tree.content.digest.text), "key": .string(snapshot.key.text),
            "entry": .integer(Int64(clamping: snapshot.sequence)),
        ]) { $1 }
    }

    var cells: [Cell] {
        [
            .time(snapshot.time), .text(reference, .strong), .number(snapshot.tree.files), .size(snapshot.tree.bytes),
            .text(changes.sentence), .text(snapshot.key.short, .dim),
        ]
    }

    var key: Cell { .text(reference) }
}
