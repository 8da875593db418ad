import DFSModel
import DFSStore
import DFSSystem
import Glibc
import Synchronization

/// History as a tree of files, without a word of any kernel's protocol.
///
/// Thread-safe; every method may block on the sources. Errors: `.noReference` where a node is gone, `.corrupt`,
/// and what the sources throw; `ESTALE` for ids that this tree has not given out.
/// Locks: each table has its own, held only for memory accesses and never two at once.
package final class VirtualTree: Sendable {
    package struct Options: Sendable {
        /// What `.dfs/version` says.
        package var version: String
        /// Permission bits of the root: who may enter.
        package var rootMode: UInt16
        /// A path on the file system whose size statfs(2) shows: the store.
        package var capacityPath: String?
        /// What is shown as being there, and no more.
        package var denials = Denials()

        package init(version: String, rootMode: UInt16 = 0o555, capacityPath: String? = nil) {
            self.version = version
            self.rootMode = rootMode
            self.capacityPath = capacityPath
        }
    }

    package let statistics: ServingStatistics

    let history: any HistorySource
    let content: any ContentSource
    let reader: TreeReader
    package let options: Options
    /// Notes what is read and refused; `nil` where nobody wants to know.
    package let accesses: AccessRecorder?
    let table: DirectoryTable
    let links: LinkTable
    let live: LiveNodes
    let control: ControlFiles
    let started: Timestamp

    /// Directories of stored trees; found again from their parents when they fell out.
    let directories = GenerationCache<UInt32, StoredDirectory>(capacity: 8192)
    let listings = GenerationCache<UInt32, PlaceListing>(capacity: 16)
    let documents = GenerationCache<DocumentKey, [UInt8]>(capacity: 64)
    /// Runs that were live when they were last shown.
    let liveRuns = Mutex<Set<UInt32>>([])
    /// The head that `changedDirectories` last saw.
    let lastHead = Mutex<HistoryPoint?>(nil)
    let freshness = Counter()

    struct DocumentKey: Hashable, Sendable {
        var run: RunID
        var document: RunDocument
    }

    /// With a journal, ids mean what they meant to those who wrote to it before.
    package init(
        history: any HistorySource, content: any ContentSource, options: Options, journal: IdentityJournal? = nil,
        accesses: AccessRecorder? = nil
    ) {
        self.accesses = accesses
        self.history = history
        self.content = content
        self.options = options
        reader = TreeReader(content: content)
        let statistics = ServingStatistics(), table = DirectoryTable(journal: journal)
        let live = LiveNodes(journal: journal), links = LinkTable(journal: journal)
        self.table = table
        self.live = live
        self.links = links
        let predecessor = Self.restore(journal, table, links)
        started = predecessor ?? Clock.now()
        self.statistics = statistics
        control = ControlFiles(
            version: options.version,
            statistics: {
                let json = statistics.json(
                    directories: table.count, liveFiles: live.count, content: content.statistics)
                return json.canonicalBytes + [0x0a]
            },
            health: {
                do throws(DFSError) {
                    _ = try history.head()
                    return Array("ok\n".utf8)
                } catch {
                    return Array("error: \(error.what)\(error.cause.map { ": " + $0 } ?? "")\n".utf8)
                }
            })
        if predecessor == nil { try? journal?.append(.started(started)) } else { goOn() }
    }

    /// What a predecessor gave out and no table tells of: runs that were live, times of young files, snapshots.
    private func goOn() {
        let runs = table.numbers { if case .run = $0 { true } else { false } }
        liveRuns.withLock { $0.formUnion(runs) }
        freshness.increment(by: Int.random(in: 0..<900_000))
        control.skip(UInt32.random(in: 0..<1 << 29))
    }

    /// Takes up what a predecessor has written to the journal; returns when the first of them began.
    private static func restore(_ journal: IdentityJournal?, _ table: DirectoryTable, _ links: LinkTable) -> Timestamp?
    {
        var started: Timestamp?
        journal?.restore { record in
            switch record {
            case .started(let time): started = time
            case .directory(let origin): table.restore(origin, nil)
            case .place(let place): table.restore(0, place)
            case .link(let link): links.restore(link)
            case .note: break
            }
        }
        return started
    }

    // MARK: What an id stands for

    /// The dataset and version that something was reached through.
    struct Provenance: Hashable, Sendable {
        var dataset: String
        var version: Int
    }

    struct StoredDirectory: Sendable {
        var entry: TreeEntry
        var provenance: Provenance?
        /// Of what is in it: brief below a run whose end may still be corrected.
        var lifetime = Lifetime.immutable
        /// Where it stands to what is denied.
        var standing = Denials.Standing()
        var isImmutable: Bool { if case .immutable = lifetime { true } else { false } }
    }

    enum Directory: Sendable {
        case place(Place)
        case stored(StoredDirectory)
        case live(LiveLocation)
        /// A tree that a run does not have.
        case empty(Timestamp, Lifetime)
    }

    enum Node: Sendable {
        case directory(UInt32, Directory)
        /// An entry that is no directory, and what it is in.
        case entry(TreeEntry, StoredDirectory)
        case link(LinkTable.Link)
        case document([UInt8], modified: Timestamp, lifetime: Lifetime)
        case liveMetrics([UInt8], LiveLocation)
        case live(LiveNodes.Key, LiveLocation)
    }

    static func stale(_ id: NodeID) -> DFSError {
        DFSError(.operational, "no file has the id \(id.raw)", errno: ESTALE)
    }

    static func absent(_ what: String) -> DFSError { DFSError(.noReference, what, errno: ENOENT) }

    func node(_ id: NodeID) throws(DFSError) -> Node {
        let number = id.directory
        if id.item == 0 { return .directory(number, try directory(number)) }
        if id.item >= NodeID.firstLive { return try liveNode(id) }
        guard let origin = table.origin(of: number) else { throw Self.stale(id) }
        if case .place(let place) = origin, !place.isTree {
            if let link = links.link(id) { return .link(link) }
            return try document(id, in: place)
        }
        guard case .stored(let stored) = try directory(number), let address = stored.entry.address,
            let entry = try reader.entry(id.item - 1, in: address), entry.kind != .directory
        else { throw Self.stale(id) }
        return .entry(entry, stored)
    }

    private func liveNode(_ id: NodeID) throws(DFSError) -> Node {
        guard let key = live.key(of: id) else { throw Self.stale(id) }
        switch try directory(id.directory) {
        case .live(let location): return .live(key, location)
        case .stored(let stored) where isLog(id.directory):
            // The run has been sealed. A log only grows, so whoever follows it goes on in the stored file. Other files may
            // have been replaced meanwhile: their ids lead to nothing.
            if let address = stored.entry.address, let entry = try reader.find(key.name, in: address)?.entry,
                entry.kind == .file
            {
                return .entry(entry, stored)
            }
        default: break
        }
        throw Self.stale(id)
    }

    private func isLog(_ number: UInt32) -> Bool {
        var at = number
        while case .place(.below(let parent, _)) = table.origin(of: at) { at = parent }
        if case .place(.tree(_, .logs)) = table.origin(of: at) { return true }
        return false
    }

    /// What stands at a number. Climbs to the nearest directory that is known and descends again; the depth of a
    /// tree is somebody else's choice, so there is no recursion.
    func directory(_ number: UInt32) throws(DFSError) -> Directory {
        var pending = [(number: UInt32, origin: DirectoryTable.Origin)]()
        var at = number
        var found: Directory?
        while found == nil {
            if let stored = directories[at] {
                found = .stored(stored)
                break
            }
            guard let origin = table.origin(of: at) else { throw Self.stale(NodeID(directory: at)) }
            switch origin {
            case .child(let parent, _), .place(.below(let parent, _)):
                pending.append((at, origin))
                at = parent
            case .place(let place):
                found = try placeContent(place)
                if case .stored(let stored) = found { keep(stored, for: at) }
            }
        }
        guard var directory = found else { throw Self.stale(NodeID(directory: at)) }
        for (number, origin) in pending.reversed() {
            directory = try descend(from: directory, to: origin)
            if case .stored(let stored) = directory { keep(stored, for: number) }
        }
        return directory
    }

    private func keep(_ stored: StoredDirectory, for number: UInt32) {
        if stored.isImmutable { directories.insert(stored, for: number) }
    }

    private func descend(
        from parent: Directory, to origin: DirectoryTable.Origin
    ) throws(DFSError) -> Directory {
        switch (parent, origin) {
        case (.live(let location), .place(.below(_, let name))):
            return .live(location.appending(name))
        case (.stored(let stored), _):
            guard let address = stored.entry.address else { break }
            let entry: TreeEntry? =
                switch origin {
                case .child(_, let ordinal): try reader.entry(ordinal, in: address)
                case .place(.below(_, let name)): try reader.find(name, in: address)?.entry
                case .place: nil
                }
            guard let entry, entry.kind == .directory else { break }
            return .stored(
                StoredDirectory(
                    entry: entry, provenance: stored.provenance, lifetime: stored.lifetime,
                    standing: options.denials.standing(of: entry, in: stored.standing)))
        default: break
        }
        throw Self.absent("the directory is gone")
    }

    /// The tree at a place, or the place itself.
    private func placeContent(_ place: Place) throws(DFSError) -> Directory {
        switch place {
        case .version(let dataset, let number):
            let version = try history.version(number, of: dataset)
            return root(version.root, Provenance(dataset: dataset, version: number))
        case .snapshot(let project, let id):
            return root(try history.snapshot(id, of: project).root)
        case .data(let id, let key):
            guard let data = try history.run(id).data.first(where: { $0.key == key }) else {
                throw Self.absent("run \(id) has no data \(key)")
            }
            return root(data.root, Provenance(dataset: data.dataset, version: data.version))
        case .tree(let id, let tree):
            return runTree(tree, try history.run(id))
        default:
            return .place(place)
        }
    }

    private func root(
        _ entry: TreeEntry, _ provenance: Provenance? = nil, lifetime: Lifetime = .immutable
    ) -> Directory {
        let version = provenance.map { (dataset: $0.dataset, number: $0.version) }
        return .stored(
            StoredDirectory(
                entry: entry, provenance: provenance, lifetime: lifetime,
                standing: options.denials.standing(of: entry, version: version)))
    }

    private func runTree(_ tree: RunTree, _ run: RunDetails) -> Directory {
        let live: String?
        let sealed: TreeEntry?
        switch tree {
        case .code: (live, sealed) = (nil, run.code)
        case .outputs: (live, sealed) = (run.live?.outputs, run.outputs)
        case .work: (live, sealed) = (run.live?.work, run.work)
        case .logs: (live, sealed) = (run.live?.logs, run.logs)
        case .evidence: (live, sealed) = (run.live?.evidence, run.evidence)
        case .env:
            // It comes when it is frozen, which may be before or after the run's end, and stays.
            return run.environment.map { .stored(StoredDirectory(entry: $0, lifetime: .immutable)) }
                ?? .empty(run.summary.started, .brief)
        }
        if run.summary.isLive, tree != .code {
            return live.map { .live(LiveLocation($0, below: run.live?.below)) } ?? .empty(run.summary.started, .none)
        }
        let lifetime: Lifetime = tree == .code ? .immutable : run.summary.lifetime
        return sealed.map { root($0, lifetime: lifetime) }
            ?? .empty(run.summary.changed.time, run.summary.isLive ? .none : lifetime)
    }
}
