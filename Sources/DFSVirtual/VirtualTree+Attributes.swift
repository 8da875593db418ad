import DFSModel
import DFSStore
import DFSSystem
import Synchronization

extension VirtualTree {
    /// What stat(2) shows.
    package func attributes(of id: NodeID) throws(DFSError) -> Attributes {
        switch try node(id) {
        case .directory(let number, let directory): return try attributes(directory, number: number)
        case .entry(let entry, let stored): return .content(entry, id: id, lifetime: stored.lifetime)
        case .link(let link): return .link(id, target: link.target, modified: link.modified)
        case .document(let bytes, let modified, let lifetime):
            return .file(id, size: UInt64(bytes.count), modified: modified, lifetime: lifetime)
        case .liveMetrics(let name, let location):
            guard let file = try liveFile(name, in: location) else {
                return .file(id, size: 0, modified: started, lifetime: .none)
            }
            // Its id stays when the run is sealed.
            var attributes = attributes(live: id, status: file.status)
            attributes.inode = id.raw
            return attributes
        case .live(let key, let location):
            return attributes(live: id, status: try status(key, in: location, id: id))
        }
    }

    private func attributes(_ directory: Directory, number: UInt32) throws(DFSError) -> Attributes {
        let id = NodeID(directory: number)
        switch directory {
        case .stored(let stored): return .content(stored.entry, id: id, lifetime: stored.lifetime)
        case .live(let location): return try attributes(location, id: id)
        case .empty(let modified, let lifetime): return .directory(id, modified: modified, lifetime: lifetime)
        case .place(let place): return try attributes(place)
        }
    }

    /// Attributes of a directory that the tree makes up.
    func attributes(_ place: Place) throws(DFSError) -> Attributes {
        switch place {
        case .root: return try attributes(place, started, .immutable, mode: options.rootMode)
        case .control, .datasetTimes, .projectTimes: return try attributes(place, started, .immutable)
        case .datasets, .group, .code, .runs: return try attributes(place, try history.head().modified, .watched)
        case .dataset(let name), .tags(let name):
            guard let dataset = try history.datasets().first(where: { $0.name == name }) else {
                throw Self.absent("no dataset \(name)")
            }
            return try attributes(place, dataset.changed.modified, .watched)
        case .project(let name):
            guard let project = try history.projects().first(where: { $0.name == name }) else {
                throw Self.absent("no project \(name)")
            }
            return try attributes(project)
        case .run(let id): return try attributes(try history.run(id).summary)
        case .runData(let id): return try attributes(place, try history.run(id).summary.started, .immutable)
        case .version, .snapshot, .data, .tree, .below:
            let number = try table.number(of: place)
            return try attributes(try directory(number), number: number)
        }
    }

    private func attributes(
        _ place: Place, _ modified: Timestamp, _ lifetime: Lifetime, mode: UInt16 = 0o555
    ) throws(DFSError) -> Attributes {
        .directory(
            NodeID(directory: try table.number(of: place)), mode: mode, modified: modified, lifetime: lifetime)
    }

    func attributes(_ dataset: DatasetSummary) throws(DFSError) -> Attributes {
        try attributes(.dataset(dataset.name), dataset.changed.modified, .watched)
    }

    func attributes(_ project: ProjectSummary) throws(DFSError) -> Attributes {
        try attributes(.project(project.name), project.changed.modified, .watched)
    }

    func attributes(_ version: VersionSummary, of dataset: String) throws(DFSError) -> Attributes {
        try attributes(root: version.root, at: .version(dataset, version.number))
    }

    func attributes(_ snapshot: SnapshotSummary, of project: String) throws(DFSError) -> Attributes {
        try attributes(root: snapshot.root, at: .snapshot(project, snapshot.id))
    }

    func attributes(_ data: RunData, of run: RunID) throws(DFSError) -> Attributes {
        try attributes(root: data.root, at: .data(run, key: data.key))
    }

    private func attributes(root: TreeEntry, at place: Place) throws(DFSError) -> Attributes {
        .content(root, id: NodeID(directory: try table.number(of: place)))
    }

    func attributes(tree: RunTree, of run: RunID) throws(DFSError) -> Attributes {
        try attributes(.tree(run, tree))
    }

    /// A run's directory: what it holds changes once more, when a live run is sealed or a found end corrected.
    func attributes(_ run: RunSummary) throws(DFSError) -> Attributes {
        let number = try table.number(of: .run(run.id))
        if !run.isFinal { liveRuns.withLock { _ = $0.insert(number) } }
        return .directory(
            NodeID(directory: number), modified: run.changed.modified, lifetime: run.isFinal ? .immutable : .watched)
    }

    // MARK: What others keep

    /// Directories whose names or times may have changed since the last call, because history has grown; empty when it
    /// has not. To be called about every second by whoever lets attributes of `Lifetime.watched` be kept.
    package func changedDirectories() throws(DFSError) -> [NodeID] {
        let head = try history.head()
        let changed = lastHead.withLock { last in
            defer { last = head }
            return last != head
        }
        guard changed else { return [] }
        let runs = liveRuns.withLock { runs in
            defer { runs = [] }
            return runs
        }
        return (table.numbers(where: \.isWatched) + runs).map { NodeID(directory: $0) }
    }
}
