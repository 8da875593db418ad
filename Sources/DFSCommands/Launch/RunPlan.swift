import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore

/// Everything decided before a run starts.
struct RunPlan {
    let run: RunID
    /// What the ledger said before anything was stored.
    let began: LedgerState
    let inputs: [DataInput]
    let survey: CodeSurvey
    /// What is known of version control.
    let git: JSONValue
    let project: String
    /// Captured, though not yet in the ledger when `isNewSnapshot`.
    let code: TreeReference
    let snapshot: String
    let isNewSnapshot: Bool
    let codeNotes: CaptureNotes
    /// `nil` of a recorded snapshot, of which nothing was captured.
    let codeCache: StatCache?
    let codeUpdates: [StatCache.Update]
    let codeWriter: StoreWriter
    let previousSnapshot: SnapshotRecord?
    let host: HostRecord
    /// How this host differs from the one of a run, where that was asked for.
    let drift: DriftCheck.Finding?
    let capabilities: Capabilities
    let seed: UInt32
    let request: LaunchRequest
    let maximumFileSize: UInt64

    var name: String { RunName.of(run) }

    /// `calm-otter (0a1b2c3d): code proj@12345678 (2 modified, 1 untracked); data faces@v3`
    var summary: String {
        var facts = [String]()
        if let git = survey.facts.repository {
            if git.modified + git.staged > 0 { facts.append("\(git.modified + git.staged) modified") }
            if git.untracked > 0 { facts.append("\(git.untracked) untracked") }
        }
        let state = facts.isEmpty ? "" : " (\(facts.joined(separator: ", ")))"
        let data = inputs.map { "\($0.dataset)@v\($0.version.number)" }.joined(separator: ", ")
        return "run \(name) (\(run.uuid.digits.suffix(8))): code \(project)@\(snapshot.prefix(8))\(state)"
            + (data.isEmpty ? "" : "; data \(data)")
    }
}
