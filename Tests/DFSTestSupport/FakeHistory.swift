import DFSModel
import DFSStore
import DFSVirtual
import Synchronization

/// History and content in dictionaries. Digests are not SHA-256: they only have to differ.
package final class FakeHistory: HistorySource, ContentSource {
    private struct Dataset: Sendable {
        var versions: [VersionSummary] = []
        var tags: [TagSummary] = []
        var changed = HistoryPoint(sequence: 0, time: Timestamp(seconds: 0, nanoseconds: 0))
    }
    private struct Project: Sendable {
        var snapshots: [SnapshotSummary] = []
        var changed = HistoryPoint(sequence: 0, time: Timestamp(seconds: 0, nanoseconds: 0))
    }
    private struct Run: Sendable {
        var details: RunDetails
        var documents: [RunDocument: [UInt8]] = [:]
        var name = ""
    }
    private struct State: Sendable {
        var nodes: [ObjectAddress: TreeNode] = [:]
        var files: [ContentDigest: [UInt8]] = [:]
        var datasets: [String: Dataset] = [:]
        var projects: [String: Project] = [:]
        var runs: [Run] = []
        var sequence: UInt64 = 1
        var failing: DFSError?
        var damaged: Set<ObjectAddress> = []
        var nodesRead = 0
        var find: (@Sendable (TreeEntry, [UInt8]) -> BackingFile?)?
    }

    private let state = Mutex(State())

    package init() {}

    // MARK: Changing it

    /// Every later call of any method fails with this error, until it is `nil` again.
    package func fail(with error: DFSError?) { state.withLock { $0.failing = error } }
    package func damage(_ address: ObjectAddress, _ damaged: Bool = true) {
        state.withLock { if damaged { $0.damaged.insert(address) } else { $0.damaged.remove(address) } }
    }
    package var nodesRead: Int { state.withLock { $0.nodesRead } }
    package func replaceNode(_ address: ObjectAddress, by node: TreeNode) {
        state.withLock { $0.nodes[address] = node }
    }

    private static func advance(_ state: inout State) -> HistoryPoint {
        state.sequence += 1
        return point(state)
    }

    /// All entries carry the same time, as they do when a clock was set back.
    private static func point(_ state: State) -> HistoryPoint {
        HistoryPoint(sequence: state.sequence, time: Timestamp(seconds: 1_800_000_000, nanoseconds: 0))
    }

    /// The time of a version in this fake: its number in seconds.
    @discardableResult
    package func commit(_ files: ReferenceFileSystem, to dataset: String) -> Int {
        state.withLock { state in
            let changed = Self.advance(&state)
            let number = (state.datasets[dataset]?.versions.last?.number ?? 0) + 1
            let root = Self.store(files, [], &state)
            state.datasets[dataset, default: Dataset()].versions.append(VersionSummary(number: number, root: root))
            state.datasets[dataset]?.changed = changed
            return number
        }
    }

    package func tag(_ name: String, _ dataset: String, _ version: Int) {
        state.withLock { state in
            let changed = Self.advance(&state)
            state.datasets[dataset]?.tags.removeAll { $0.name == name }
            let tag = TagSummary(name: name, version: version, set: Timestamp(seconds: 5, nanoseconds: 0))
            state.datasets[dataset]?.tags.append(tag)
            state.datasets[dataset]?.changed = changed
        }
    }

    package func capture(_ files: ReferenceFileSystem, _ project: String, id: String) {
        state.withLock { state in
            let changed = Self.advance(&state)
            let root = Self.store(files, [], &state)
            state.projects[project, default: Project()].snapshots.append(SnapshotSummary(id: id, root: root))
            state.projects[project]?.changed = changed
        }
    }

    package func start(
        _ id: RunID, name: String = "", data: [(key: String, dataset: String, version: Int)] = [],
        code: ReferenceFileSystem? = nil, live: LivePaths, documents: [RunDocument: [UInt8]] = [:]
    ) {
        state.withLock { state in
            let changed = Self.advance(&state)
            let summary = RunSummary(id: id, started: changed.time, changed: changed, isLive: true, isFinal: false)
            let frozen = data.compactMap { item in
                state.datasets[item.dataset]?.versions.first { $0.number == item.version }.map {
                    RunData(key: item.key, root: $0.root, dataset: item.dataset, version: item.version)
                }
            }
            let root = code.map { Self.store($0, [], &state) }
            state.runs.append(
                Run(
                    details: RunDetails(summary: summary, data: frozen, code: root, live: live), documents: documents,
                    name: name))
        }
    }

    package func finish(
        _ id: RunID, outputs: ReferenceFileSystem? = nil, logs: ReferenceFileSystem? = nil, metrics: [UInt8]? = nil,
        documents: [RunDocument: [UInt8]] = [:], isFinal: Bool = true
    ) {
        state.withLock { state in
            let changed = Self.advance(&state)
            guard let i = state.runs.firstIndex(where: { $0.details.summary.id == id }) else { return }
            state.runs[i].details.summary.changed = changed
            state.runs[i].details.summary.isLive = false
            state.runs[i].details.summary.isFinal = isFinal
            state.runs[i].details.outputs = outputs.map { Self.store($0, [], &state) }
            state.runs[i].details.logs = logs.map { Self.store($0, [], &state) }
            if let metrics {
                var files = ReferenceFileSystem()
                files.add("m", .file(metrics))
                _ = Self.store(files, [], &state)
                state.runs[i].details.metrics = Self.file(metrics, named: Array("m".utf8))
            }
            for (key, value) in documents { state.runs[i].documents[key] = value }
        }
    }

    // MARK: Storing trees

    package static func digest(_ bytes: [UInt8]) -> Digest {
        func word(_ salt: UInt8) -> UInt64 {
            var hasher = Hasher()
            hasher.combine(salt)
            bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
            return UInt64(bitPattern: Int64(hasher.finalize()))
        }
        return Digest(words: (word(1), word(2), word(3), word(4)))
    }

    private static func file(_ bytes: [UInt8], named name: [UInt8]) -> TreeEntry {
        TreeEntry(
            name: name, kind: .file, mode: 0o644, modified: Timestamp(seconds: 1, nanoseconds: 0),
            size: UInt64(bytes.count), content: ContentDigest(digest(bytes)))
    }

    private static func store(
        _ files: ReferenceFileSystem, _ path: ReferenceFileSystem.Path, _ state: inout State
    ) -> TreeEntry {
        var entries = [TreeEntry]()
        for name in files.children(of: path) {
            guard let item = files.items[path + [name]] else { continue }
            var entry: TreeEntry
            switch item.body {
            case .directory: entry = store(files, path + [name], &state)
            case .file(let bytes):
                entry = file(bytes, named: name)
                state.files[entry.content] = bytes
            case .symlink(let target):
                entry = TreeEntry(
                    name: name, kind: .symlink, mode: 0o777, modified: item.modified, size: UInt64(target.count),
                    content: ContentDigest(digest(target)), target: target)
            }
            entry.name = name
            if entry.kind != .symlink { entry.mode = item.mode }
            entry.modified = item.modified
            entries.append(entry)
        }
        return directory(entries, files.items[path], &state)
    }

    private static func directory(
        _ entries: [TreeEntry], _ item: ReferenceFileSystem.Item?, _ state: inout State
    ) -> TreeEntry {
        var nodes = [ObjectAddress: TreeNode]()
        var last: TreeBuilder.Node?
        let address: ObjectAddress?
        do {
            address = try TreeBuilder.build(entries) { node throws(DFSError) in
                let address = ObjectAddress(digest(node.bytes))
                nodes[address] = try TreeNode.decode(node.bytes)
                last = node
                return address
            }
        } catch { fatalError("the fake cannot build a tree: \(error)") }
        state.nodes.merge(nodes) { $1 }
        return TreeEntry(
            name: [], kind: .directory, mode: item?.mode ?? 0o755,
            modified: item?.modified ?? Timestamp(seconds: 1, nanoseconds: 0), size: last?.size ?? 0,
            files: last?.files ?? 0, content: ContentDigest(digest(last?.bytes ?? [])), address: address)
    }

    // MARK: ContentSource

    package func node(_ address: ObjectAddress) throws(DFSError) -> TreeNode {
        let (node, damaged): (TreeNode?, Bool) = state.withLock { state in
            state.nodesRead += 1
            return (state.nodes[address], state.damaged.contains(address))
        }
        guard !damaged, let node else { throw DFSError(.corrupt, "node \(address) is damaged") }
        return node
    }

    package func read(
        _ file: TreeEntry, at offset: UInt64, count: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DFSError) -> Int {
        let bytes = state.withLock { $0.files[file.content] }
        guard let bytes else { throw DFSError(.corrupt, "no such content") }
        let part = bytes.dropFirst(Int(offset)).prefix(count)
        buffer.copyBytes(from: part)
        return part.count
    }

    /// Whom `backing` asks, with the entry and its content.
    package func back(_ find: (@Sendable (TreeEntry, [UInt8]) -> BackingFile?)?) { state.withLock { $0.find = find } }

    package func backing(of file: TreeEntry) -> BackingFile? {
        let (find, bytes) = state.withLock { ($0.find, $0.files[file.content]) }
        return bytes.flatMap { find?(file, $0) }
    }

    // MARK: HistorySource

    private func ask<R: Sendable>(_ body: (State) -> R?) throws(DFSError) -> R {
        let (failing, answer): (DFSError?, R?) = state.withLock { ($0.failing, body($0)) }
        if let failing { throw failing }
        guard let answer else { throw DFSError(.noReference, "there is no such thing") }
        return answer
    }

    package func head() throws(DFSError) -> HistoryPoint { try ask { Self.point($0) } }

    package func datasets() throws(DFSError) -> [DatasetSummary] {
        try ask { state in
            state.datasets.map {
                DatasetSummary(name: $0.key, changed: $0.value.changed, latest: $0.value.versions.last?.number)
            }.sorted { $0.name < $1.name }
        }
    }
    package func versions(of dataset: String) throws(DFSError) -> [VersionSummary] {
        try ask { $0.datasets[dataset]?.versions }
    }
    package func version(_ number: Int, of dataset: String) throws(DFSError) -> VersionSummary {
        try ask { $0.datasets[dataset]?.versions.first { $0.number == number } }
    }
    package func tags(of dataset: String) throws(DFSError) -> [TagSummary] { try ask { $0.datasets[dataset]?.tags } }
    package func version(of dataset: String, at time: String) throws(DFSError) -> Int {
        guard Int(time) != nil else { throw DFSError(.usage, "\(time) is no time") }
        return try ask { state in
            Int(time).flatMap { time in state.datasets[dataset]?.versions.last { $0.number <= time }?.number }
        }
    }
    package func version(of dataset: String, digestPrefix prefix: String) throws(DFSError) -> Int {
        try ask { $0.datasets[dataset]?.versions.first { $0.root.content.digest.hex.hasPrefix(prefix) }?.number }
    }
    package func projects() throws(DFSError) -> [ProjectSummary] {
        try ask { state in
            state.projects.map {
                ProjectSummary(name: $0.key, changed: $0.value.changed, latest: $0.value.snapshots.last?.id)
            }.sorted { $0.name < $1.name }
        }
    }
    package func snapshots(of project: String) throws(DFSError) -> [SnapshotSummary] {
        try ask { $0.projects[project]?.snapshots }
    }
    package func snapshot(_ id: String, of project: String) throws(DFSError) -> SnapshotSummary {
        try ask { $0.projects[project]?.snapshots.first { $0.id == id } }
    }
    package func snapshot(of project: String, at time: String) throws(DFSError) -> String {
        guard Int(time) != nil else { throw DFSError(.usage, "\(time) is no time") }
        return try ask { state in Int(time).flatMap { state.projects[project]?.snapshots.prefix($0).last?.id } }
    }
    package func runs() throws(DFSError) -> [RunSummary] { try ask { $0.runs.map(\.details.summary) } }
    package func run(_ id: RunID) throws(DFSError) -> RunDetails {
        try ask { $0.runs.first { $0.details.summary.id == id }?.details }
    }
    package func run(matching text: String) throws(DFSError) -> RunID {
        try ask { state in
            let found = state.runs.filter { $0.name == text || $0.details.summary.id.description.hasSuffix(text) }
            return found.count == 1 ? found[0].details.summary.id : nil
        }
    }
    package func document(_ document: RunDocument, of run: RunID) throws(DFSError) -> [UInt8]? {
        try ask { state in .some(state.runs.first { $0.details.summary.id == run }?.documents[document]) }
    }
}
