import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel

/// `dfs code snapshot`: records a project's code as it is now.
struct CodeSnapshot: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Record a project's code as it is now.")

    @OptionGroup var capture: CaptureArguments
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        try SpokenSecrets.refuse(reason: capture.allowSecrets, command: "dfs code snapshot")
        let directory = try context.directory(capture.path)
        let repository = try context.repository(creating: true)
        let project = try context.projectCapture(directory, repository, allowSecrets: capture.allowSecrets)
        let code = try project.record(from: directory, by: try context.signer())
        for warning in code.warnings { context.output.warn(warning) }
        try context.output.report(CaptureReport(code: code, changes: try SnapshotChanges(code, repository)))
        return .done
    }
}

/// What a capture by hand or by a watch has recorded.
struct CaptureReport: Report {
    static let schema = "dfs.code-snapshot/1"

    let code: CapturedCode
    let changes: SnapshotChanges

    private var reference: String { "code:\(code.project)@\(code.snapshot)" }

    var json: [String: JSONValue] {
        changes.json.merging([
            "reference": .string(reference), "project": .string(code.project), "snapshot": .string(code.snapshot),
            "new": .bool(code.isNew), "files": .integer(Int64(clamping: code.tree.files)),
            "bytes": .integer(Int64(clamping: code.tree.bytes)), "content": .string(code.tree.content.digest.text),
        ]) { $1 }
    }

    func print(to output: Output) throws(DFSError) {
        // A snapshot is known by its content: a project that is as it once was has no new one.
        let known = code.previous?.id == code.snapshot ? "unchanged" : "as recorded before"
        let state = code.isNew ? changes.sentence : known
        let git = code.gitWords.isEmpty ? "" : " (\(code.gitWords))"
        try output.line(
            "\(reference)\(git): \(Quantity.count(Int(clamping: code.tree.files), "file")), \(ByteCount(code.tree.bytes)); \(state)"
        )
    }
}
