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

    /// Other code at the same place.
    func replaced(by other: RecordedCode) -> RecordedCode {
        RecordedCode(
            project: other.project, snapshot: other.snapshot, root: root, git: other.git, excluded: other.excluded)
    }

    /// From a record `dfs.code/1`.
    static func excluded(_ record: JSONValue) -> [ExcludedPath] {
        (record["left-out"]?.array ?? []).compactMap { ExcludedPath(json: $0) }
    }

    var survey: CodeSurvey { CodeSurvey(root: root, excluded: excluded, facts: CodeFacts()) }
}
