import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore

/// The code of a project, in the store, though not yet in the ledger where `isNew`.
struct CapturedCode: Sendable {
    let survey: CodeSurvey
    /// What is known of version control.
    let git: JSONValue
    let project: String
    let tree: TreeReference
    let snapshot: String
    let isNew: Bool
    var notes = CaptureNotes()
    /// `nil` of a recorded snapshot, of which nothing was captured.
    var cache: StatCache?
    var updates = [StatCache.Update]()
    let writer: StoreWriter
    let previous: SnapshotRecord?
    /// Secrets in files that were read, which somebody let pass.
    var waived = [WaivedSecret]()

    /// `dfs.code/1`. `reason`: why secrets were let pass, where no text of a run says it.
    /// It stays for good: the entry has no text that could be redacted, so a reason with a secret in it was refused.
    func record(reason: String? = nil) -> JSONValue {
        var secrets: [String: JSONValue] = ["waived": .array(waived.prefix(Self.listed).map(\.json))]
        if let reason, !waived.isEmpty { secrets["reason"] = .string(reason) }
        return [
            "format": "dfs.code/1", "project": .string(project), "capture": notes.json, "git": git,
            "left-out": .array(survey.excluded.prefix(Self.listed).map(\.json)), "secrets": .object(secrets),
        ]
    }

    private static let listed = 1000

    /// On which packs a record of this relies besides those that are written.
    var reliedOn: [EventPacks] {
        isNew ? [cache?.rows, previous.map { EventPacks($0.record) }].compactMap { $0 } : []
    }

    /// What the writer is finished upon.
    var base: (packs: ObjectAddress, pack: PackID)? {
        isNew ? previous.map { ($0.record.packs, $0.record.pack) } : nil
    }

    /// Keeps what was learned of the files, once the ledger has the snapshot.
    func remember(in state: LedgerState) {
        guard let snapshot = state.projects[project]?.snapshot(snapshot) else { return }
        try? cache?.write(updates, restingOn: snapshot.record)
    }

    /// What a user should know before relying on the snapshot.
    var warnings: [String] {
        let repositories = [survey.facts.repository] + survey.facts.nested.map(\.facts)
        let pointers = repositories.reduce(0) { $0 + ($1?.largeFiles?.pointers.count ?? 0) }
        guard pointers > 0 else { return [] }
        let files = Quantity.count(pointers, "file")
        return ["\(files) of the code: a Git LFS pointer stands in place of the content; git lfs pull"]
    }

    /// `2 modified, 1 untracked`; empty outside git and where nothing is.
    var gitWords: String {
        guard let git = survey.facts.repository else { return "" }
        var facts = [String]()
        if git.modified + git.staged > 0 { facts.append("\(git.modified + git.staged) modified") }
        if git.untracked > 0 { facts.append("\(git.untracked) untracked") }
        return facts.joined(separator: ", ")
    }
}
