import DFSModel
import DFSStore

/// What the ledger says now.
///
/// Called from many threads at once. Every call must be cheap (memory, or one look at the ledger's head at most
/// every second): names in changing directories are asked for at each lookup. Arrays may be shared, not copied.
/// `.noReference` means "there is no such thing" and becomes ENOENT; any other error becomes EIO, never ENOENT, so
/// that a store that cannot be reached does not look like an empty one.
/// Names are given and asked as text; those that cannot be a file name are passed over.
package protocol HistorySource: Sendable {
    /// The newest entry known. Everything below may answer from an older state, never from a state older than what
    /// an earlier call of this method returned.
    func head() throws(DFSError) -> HistoryPoint

    /// Called when a name is not known: looks whether there is something newer than what was seen, and returns whether
    /// there is. Implementations limit how often they really look.
    func lookAgain(after seen: HistoryPoint) throws(DFSError) -> Bool

    /// All datasets, in order of names. Names have one or two components.
    func datasets() throws(DFSError) -> [DatasetSummary]
    /// All versions of a dataset that are not removed, ascending.
    func versions(of dataset: String) throws(DFSError) -> [VersionSummary]
    /// A version, also one that was removed: what was found before stays in use.
    func version(_ number: Int, of dataset: String) throws(DFSError) -> VersionSummary
    func tags(of dataset: String) throws(DFSError) -> [TagSummary]
    /// The number of the version that `time` (the text behind `at/`, in the grammar of times) names.
    func version(of dataset: String, at time: String) throws(DFSError) -> Int
    /// The lowest version whose content digest begins with `prefix`: 8 to 64 lowercase hexadecimal digits.
    func version(of dataset: String, digestPrefix prefix: String) throws(DFSError) -> Int

    /// All code projects, in order of names.
    func projects() throws(DFSError) -> [ProjectSummary]
    /// All snapshots of a project, oldest first.
    func snapshots(of project: String) throws(DFSError) -> [SnapshotSummary]
    func snapshot(_ id: String, of project: String) throws(DFSError) -> SnapshotSummary
    /// The id of the snapshot that was the newest at `time`.
    func snapshot(of project: String, at time: String) throws(DFSError) -> String

    /// All runs, oldest first.
    func runs() throws(DFSError) -> [RunSummary]
    func run(_ id: RunID) throws(DFSError) -> RunDetails
    /// The run that a name or a unique part of an id means; ambiguous ones are `.noReference`.
    func run(matching text: String) throws(DFSError) -> RunID
    /// A small file of a run; `nil` when there is none (yet). The caller keeps those of runs that are final.
    func document(_ document: RunDocument, of run: RunID) throws(DFSError) -> [UInt8]?
}

extension HistorySource {
    package func lookAgain(after seen: HistoryPoint) throws(DFSError) -> Bool { false }
}

/// A place in the ledger. What mtimes of changing directories are made from, so that two states never look alike.
package struct HistoryPoint: Hashable, Sendable {
    package var sequence: UInt64
    package var time: Timestamp

    package init(sequence: UInt64, time: Timestamp) {
        self.sequence = sequence
        self.time = time
    }

    /// The time in microseconds with the sequence in the digits below: entries may carry equal times.
    var modified: Timestamp {
        Timestamp(
            seconds: time.seconds,
            nanoseconds: time.nanoseconds / 1000 * 1000 + UInt32(truncatingIfNeeded: sequence % 1000))
    }
}

package struct DatasetSummary: Hashable, Sendable {
    package var name: String
    /// The last entry that made or removed a version, or set, moved or removed a tag.
    package var changed: HistoryPoint
    /// The newest version; `nil` when none is left.
    package var latest: Int?

    package init(name: String, changed: HistoryPoint, latest: Int?) {
        self.name = name
        self.changed = changed
        self.latest = latest
    }
}

package struct VersionSummary: Sendable {
    package var number: Int
    /// The tree as an entry without a name; its `modified` is the time of the commit.
    package var root: TreeEntry
    /// Whether it was taken out of the dataset; then it is found no more.
    package var isRemoved: Bool

    package init(number: Int, root: TreeEntry, isRemoved: Bool = false) {
        self.number = number
        self.root = root
        self.isRemoved = isRemoved
    }
}

package struct TagSummary: Hashable, Sendable {
    package var name: String
    package var version: Int
    /// When it was set or moved.
    package var set: Timestamp

    package init(name: String, version: Int, set: Timestamp) {
        self.name = name
        self.version = version
        self.set = set
    }
}

package struct ProjectSummary: Hashable, Sendable {
    package var name: String
    /// The last entry that captured a snapshot.
    package var changed: HistoryPoint
    /// The id of the newest snapshot.
    package var latest: String?

    package init(name: String, changed: HistoryPoint, latest: String?) {
        self.name = name
        self.changed = changed
        self.latest = latest
    }
}

package struct SnapshotSummary: Sendable {
    package var id: String
    package var root: TreeEntry

    package init(id: String, root: TreeEntry) {
        self.id = id
        self.root = root
    }
}

package struct RunSummary: Hashable, Sendable {
    package var id: RunID
    package var started: Timestamp
    /// The last entry about this run; its time is the mtime of the run's directory.
    package var changed: HistoryPoint
    /// Whether its outputs are still read from where the job writes them.
    package var isLive: Bool
    /// Whether its end is its launcher's own word. Somebody else's may still be corrected, and is not to be kept.
    package var isFinal: Bool

    package init(id: RunID, started: Timestamp, changed: HistoryPoint, isLive: Bool, isFinal: Bool) {
        self.id = id
        self.started = started
        self.changed = changed
        self.isLive = isLive
        self.isFinal = isFinal
    }

    /// Of what an end fixes: names, documents, trees.
    var lifetime: Lifetime { isFinal ? .immutable : .brief }
}

/// The small files of a run's directory.
package enum RunDocument: UInt32, Sendable, CaseIterable {
    case status = 1
    case host = 2
    case record = 3

    package var fileName: String {
        switch self {
        case .status: "status"
        case .host: "host.json"
        case .record: "record.json"
        }
    }
}

package struct RunDetails: Sendable {
    package var summary: RunSummary
    package var data: [RunData]
    /// The code snapshot.
    package var code: TreeEntry?
    /// Trees of a sealed run.
    package var outputs, work, logs, evidence: TreeEntry?
    /// The frozen environment, once there is one.
    package var environment: TreeEntry?
    /// The metrics file of a sealed run.
    package var metrics: TreeEntry?
    /// Where a run that is not sealed writes; unused once `summary.isLive` is false.
    package var live: LivePaths?

    package init(
        summary: RunSummary, data: [RunData] = [], code: TreeEntry? = nil, outputs: TreeEntry? = nil,
        work: TreeEntry? = nil, logs: TreeEntry? = nil, evidence: TreeEntry? = nil, environment: TreeEntry? = nil,
        metrics: TreeEntry? = nil, live: LivePaths? = nil
    ) {
        self.summary = summary
        self.data = data
        self.code = code
        self.outputs = outputs
        self.work = work
        self.logs = logs
        self.evidence = evidence
        self.environment = environment
        self.metrics = metrics
        self.live = live
    }
}

/// One frozen dataset of a run: `data/<key>`.
package struct RunData: Sendable {
    package var key: String
    package var root: TreeEntry
    package var dataset: String
    package var version: Int

    package init(key: String, root: TreeEntry, dataset: String, version: Int) {
        self.key = key
        self.root = root
        self.dataset = dataset
        self.version = version
    }
}

/// Absolute paths of what a live run writes. A missing one shows as an empty directory, or no metrics file.
///
/// They stay until the source has said for two seconds that the run is sealed: what is looked up in between must
/// not vanish. Logs and metrics only grow.
package struct LivePaths: Hashable, Sendable {
    package var outputs, work, logs, evidence: String?
    package var metrics: String?
    /// The directory below which no link is followed; `nil`: the last directory of each path.
    package var below: String?

    package init(
        below: String? = nil, outputs: String? = nil, work: String? = nil, logs: String? = nil,
        evidence: String? = nil, metrics: String? = nil
    ) {
        self.below = below
        self.outputs = outputs
        self.work = work
        self.logs = logs
        self.evidence = evidence
        self.metrics = metrics
    }
}
