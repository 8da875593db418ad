import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns

/// The code of a recorded run, and where it stood.
struct RecordedCode: Sendable {
    let project: String
    let snapshot: SnapshotRecord
    /// The project's directory, absolute; it need not exist here.
    let root: String
    /// What the record says of version control.
    let git: JSONValue
    /// What was left out of the snapshot, as far as the record lists it.
    let excluded: [ExcludedPath]

    var survey: CodeSurvey { CodeSurvey(root: root, excluded: excluded, facts: CodeFacts()) }
}
