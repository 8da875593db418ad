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
    let captured: CapturedCode
    /// Further roots, in the ledger already, in the order in which they are mounted.
    let roots: [CapturedCode]
    /// What the command line and the environment are recorded as.
    let secrets: LaunchSecrets
    let host: HostRecord
    /// How this host differs from the one of a run, where that was asked for.
    let drift: DriftCheck.Finding?
    let capabilities: Capabilities
    let seed: UInt32
    let request: LaunchRequest
    let maximumFileSize: UInt64

    /// Nothing is mounted without a namespace.
    var environmentMounts: FrozenMounts? { capabilities.namespace == .none ? nil : request.environmentMounts }
    var name: String { RunName.of(run) }
    var survey: CodeSurvey { captured.survey }
    var project: String { captured.project }
    var snapshot: String { captured.snapshot }
    var code: TreeReference { captured.tree }
    /// What is known of version control.
    var git: JSONValue { captured.git }

    /// `calm-otter (0a1b2c3d): code proj@12345678 (2 modified, 1 untracked); data faces@v3`
    var summary: String {
        let state = captured.gitWords.isEmpty ? "" : " (\(captured.gitWords))"
        let data = inputs.map { "\($0.dataset)@v\($0.version.number)" }.joined(separator: ", ")
        let roots = self.roots.map { ", \($0.project)@\($0.snapshot.prefix(8))" }.joined()
        return "run \(name) (\(run.uuid.digits.suffix(8))): code \(project)@\(snapshot.prefix(8))\(state)\(roots)"
            + (data.isEmpty ? "" : "; data \(data)")
    }
}
