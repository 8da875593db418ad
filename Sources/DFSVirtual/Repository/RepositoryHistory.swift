import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore
import DFSSystem
import Synchronization

/// The history of an opened store. Looks at the ledger's head at most once a second, and when a name is asked for that it
/// does not know: what was recorded a moment ago is found at once.
package final class RepositoryHistory: HistorySource {
    private let repository: Repository
    private let documents: RunDocuments
    private let known = Mutex<(state: LedgerState, read: UInt64)?>(nil)
    private static let interval: UInt64 = 1_000_000_000
    /// So that somebody who asks for what never was does not make this read the store for each question.
    private static let missInterval: UInt64 = 5_000_000

    package init(_ repository: Repository) {
        self.repository = repository
        documents = RunDocuments(repository: repository)
    }

    private func state(within interval: UInt64 = RepositoryHistory.interval) throws(DFSError) -> LedgerState {
        let now = Clock.monotonic()
        if let (state, read) = known.withLock({ $0 }), now &- read < interval { return state }
        let state = try repository.state()
        return known.withLock { known in
            // Another thread may have read more meanwhile.
            if let newer = known, newer.state.head.sequence > state.head.sequence { return newer.state }
            known = (state, now)
            return state
        }
    }

    package func lookAgain(after seen: HistoryPoint) throws(DFSError) -> Bool {
        try state(within: Self.missInterval).head.sequence != seen.sequence
    }

    private func found<Value>(_ what: String, _ find: (LedgerState) -> Value?) throws(DFSError) -> Value {
        guard let value = find(try state()) else { throw absent(what) }
        return value
    }

    private func absent(_ what: String) -> DFSError { DFSError(.noReference, "there is no \(what)") }

    private func point(_ mark: EntryMark) -> HistoryPoint { HistoryPoint(sequence: mark.sequence, time: mark.time) }

    package func head() throws(DFSError) -> HistoryPoint {
        let head = try state().head
        return HistoryPoint(sequence: head.sequence, time: head.time ?? Timestamp(seconds: 0, nanoseconds: 0))
    }

    // MARK: Datasets

    private func dataset(_ name: String) throws(DFSError) -> DatasetState {
        try found("dataset \(name)") { $0.datasets[name] }
    }

    package func datasets() throws(DFSError) -> [DatasetSummary] {
        let state = try state()
        return state.datasetNames.compactMap { name in
            guard let dataset = state.datasets[name], let latest = dataset.latest else { return nil }
            let tags = dataset.tagHistory.values.compactMap(\.last?.mark)
            let removals = dataset.removals.values.map(\.mark)
            let newest = ([latest.mark] + tags + removals).max { $0.sequence < $1.sequence } ?? latest.mark
            return DatasetSummary(name: name, changed: point(newest), latest: latest.number)
        }
    }

    private func summary(_ version: VersionRecord) -> VersionSummary {
        VersionSummary(number: version.number, root: .root(version.tree, modified: version.time))
    }

    package func versions(of name: String) throws(DFSError) -> [VersionSummary] {
        let dataset = try dataset(name)
        return dataset.versions.filter { dataset.removal(of: $0.number) == nil }.map(summary)
    }

    package func version(_ number: Int, of name: String) throws(DFSError) -> VersionSummary {
        let state = try state()
        guard let dataset = state.datasets[name], let version = dataset.version(number) else {
            throw absent("\(name)@v\(number)")
        }
        var summary = summary(version)
        summary.isRemoved = dataset.removal(of: number) != nil
        return summary
    }

    package func tags(of name: String) throws(DFSError) -> [TagSummary] {
        let dataset = try dataset(name)
        return dataset.tags.compactMap { tag, version in
            dataset.tagHistory[tag]?.last.map { TagSummary(name: tag, version: version, set: $0.time) }
        }.sorted { $0.name < $1.name }
    }

    package func version(of name: String, at time: String) throws(DFSError) -> Int {
        guard let version = try dataset(name).version(at: try TimeExpression.parse(time, now: Clock.now())) else {
            throw absent("version of \(name) at \(time)")
        }
        return version.number
    }

    package func version(of name: String, digestPrefix prefix: String) throws(DFSError) -> Int {
        guard let digits = DigestPrefix(prefix), let version = try dataset(name).version(content: digits) else {
            throw absent("version of \(name) with content \(prefix)")
        }
        return version.number
    }

    // MARK: Code

    private func project(_ name: String) throws(DFSError) -> ProjectState {
        try found("project \(name)") { $0.projects[name] }
    }

    package func projects() throws(DFSError) -> [ProjectSummary] {
        let state = try state()
        return state.projectNames.compactMap { name in
            state.projects[name]?.latest.map { latest in
                ProjectSummary(name: name, changed: point(latest.mark), latest: latest.id)
            }
        }
    }

    private func summary(_ snapshot: SnapshotRecord) -> SnapshotSummary {
        SnapshotSummary(id: snapshot.id, root: .root(snapshot.tree, modified: snapshot.time))
    }

    package func snapshots(of name: String) throws(DFSError) -> [SnapshotSummary] {
        try project(name).snapshots.map(summary)
    }

    package func snapshot(_ id: String, of name: String) throws(DFSError) -> SnapshotSummary {
        summary(try found("snapshot \(id) of \(name)") { $0.projects[name]?.snapshot(id) })
    }

    package func snapshot(of name: String, at time: String) throws(DFSError) -> String {
        guard let snapshot = try project(name).snapshot(at: try TimeExpression.parse(time, now: Clock.now())) else {
            throw absent("snapshot of \(name) at \(time)")
        }
        return snapshot.id
    }

    // MARK: Runs

    private func summary(_ run: RunRecord) -> RunSummary {
        RunSummary(
            id: run.id, started: run.time, changed: point(run.end?.mark ?? run.mark), isLive: run.end == nil,
            isFinal: run.end?.isFound == false)
    }

    /// A run that has no end and no folder either has ended since the ledger was read.
    private func state(of id: RunID) throws(DFSError) -> LedgerState {
        let state = try state()
        guard let run = state.run(id), run.end == nil,
            try FileStatus.of(path: LiveRun(storeRoot: repository.root, run: id).root)?.kind != .directory
        else { return state }
        return try self.state(within: Self.missInterval)
    }

    package func runs() throws(DFSError) -> [RunSummary] { try state().runs.map(summary) }

    package func run(_ id: RunID) throws(DFSError) -> RunDetails {
        let state = try state(of: id)
        guard let run = state.run(id) else { throw absent("run \(id)") }
        let data = run.data.compactMap { input -> RunData? in
            guard let version = state.datasets[input.dataset]?.version(input.version) else { return nil }
            return RunData(
                key: input.key, root: .root(version.tree, modified: version.time), dataset: input.dataset,
                version: input.version)
        }
        let code = state.projects[run.project]?.snapshot(run.snapshot).map {
            TreeEntry.root($0.tree, modified: $0.time)
        }
        func part(_ tree: TreeReference?) -> TreeEntry? {
            tree.map { .root($0, modified: run.end?.time ?? run.time) }
        }
        let logs = part(run.end?.logs)
        var metrics: TreeEntry?
        if let logs { metrics = try repository.reader.entry(at: [Array("metrics.jsonl".utf8)], below: logs) }
        let live = LiveRun(storeRoot: repository.root, run: id)
        return RunDetails(
            summary: summary(run), data: data, code: code, outputs: part(run.end?.outputs), work: part(run.end?.work),
            logs: logs, evidence: part(run.end?.evidence),
            environment: run.environment.map { .root($0, modified: run.time) }, metrics: metrics,
            live: LivePaths(
                below: Files.parent(live.root), outputs: live.outputs, work: live.work, logs: live.logs,
                evidence: live.evidence, metrics: live.metrics))
    }

    package func run(matching text: String) throws(DFSError) -> RunID {
        try found("single run \(text)") { state in
            let answers = state.runs(matching: text)
            return answers.count == 1 ? answers[0].id : nil
        }
    }

    package func document(_ document: RunDocument, of run: RunID) throws(DFSError) -> [UInt8]? {
        guard let record = try state(of: run).run(run) else { throw absent("run \(run)") }
        switch document {
        case .status: return Array((documents.status(of: record) + "\n").utf8)
        case .record: return Array(try documents.record(of: record).prettyText.utf8)
        case .host: return Array(try documents.host(of: record).prettyText.utf8)
        }
    }
}
