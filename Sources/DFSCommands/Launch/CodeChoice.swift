import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore
import DFSSystem

/// What `--code` and `--new-code` name: a snapshot by reference, or a directory, which is captured.
struct CodeChoice {
    let context: CommandContext
    let repository: Repository
    let resolver: Resolver

    func code(_ text: String) throws(DFSError) -> RecordedCode {
        let path = text.hasPrefix("dfs://") ? String(text.dropFirst(6)) : text
        if path.hasPrefix("code:") || path.hasPrefix("run:") { return try recorded(text) }
        let directory = try context.absolute(path)
        guard Files.isDirectory(directory) else {
            throw DFSError(
                .noReference, "\(text) is neither a directory nor a snapshot", hint: "dfs ls code:")
        }
        let capture = try context.projectCapture(directory, repository, allowSecrets: nil)
        let code = try capture.record(from: directory, by: try context.signer())
        guard let snapshot = try repository.state().projects[code.project]?.snapshot(code.snapshot) else {
            throw DFSError(.operational, "the snapshot of \(directory) was not recorded", hint: "dfs code log")
        }
        return try self.code(code.project, snapshot)
    }

    private func recorded(_ text: String) throws(DFSError) -> RecordedCode {
        switch try context.reference(text, resolver.state) {
        case .code(let project, _, let path) where path.isEmpty:
            let target = try context.resolve(text, resolver)
            guard case .snapshot(_, let snapshot) = target.resolved.subject else { break }
            return try code(project, snapshot)
        case .run(let id, let path) where path.isEmpty || path == [Array("code".utf8)]:
            let run = try resolver.run(id)
            guard let snapshot = resolver.state.projects[run.project]?.snapshot(run.snapshot) else { break }
            return try code(run.project, snapshot)
        default: break
        }
        throw DFSError(
            .usage, "\(text) is no whole snapshot", cause: "code is taken as a whole", hint: "dfs ls code:")
    }

    private func code(_ project: String, _ snapshot: SnapshotRecord) throws(DFSError) -> RecordedCode {
        let record = try repository.objects.json(snapshot.record.record, what: "the record of \(snapshot.id)")
        return RecordedCode(
            project: project, snapshot: snapshot, root: "", git: record["git"] ?? .null,
            excluded: RecordedCode.excluded(record))
    }
}
