import DFSModel
import DFSStore
import DFSSystem
import Glibc

/// The names of a directory that the tree makes up, at one state of history.
struct PlaceListing: Sendable {
    var head: HistoryPoint
    /// In order of `next`.
    var entries: [Listed]

    /// The index of the first entry after the position `cookie`.
    func index(after cookie: UInt64) -> Int {
        var low = 0, high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].next <= cookie { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension VirtualTree {
    /// Calls `body` with the entries after the position `cookie` (0: from the start, with `.` and `..`) until it
    /// returns `false` or they end. Positions stay valid for the life of the mount, whatever is added meanwhile.
    package func list(
        _ id: NodeID, after cookie: UInt64, caller: Int32 = 0, _ body: (Listed) -> Bool
    ) throws(DFSError) {
        guard id.item == 0 else { throw DFSError(.operational, "not a directory", errno: ENOTDIR) }
        let number = id.directory
        let directory = try directory(number)
        if case .stored(let stored) = directory, stored.standing.isDenied {
            throw refuse("list", NodeID(directory: number), caller)
        }
        if case .live(let location) = directory {
            return try list(location, number: number, after: cookie, body)
        }
        guard try listDots(number, after: cookie, body) else { return }
        switch directory {
        case .stored(let stored): try list(stored, number: number, after: max(cookie, 2), body)
        case .place(let place):
            let listing = try listing(of: place, number: number)
            for entry in listing.entries[listing.index(after: max(cookie, 2))...] where !body(entry) { return }
        case .live, .empty: return
        }
    }

    private func listDots(_ number: UInt32, after cookie: UInt64, _ body: (Listed) -> Bool) throws(DFSError) -> Bool {
        guard cookie < 2 else { return true }
        let own = NodeID(directory: number)
        if cookie == 0, !body(Self.dot([0x2e], own, next: 1)) { return false }
        return body(Self.dot([0x2e, 0x2e], NodeID(directory: try parent(of: number)), next: 2))
    }

    private static func dot(_ name: [UInt8], _ id: NodeID, next: UInt64) -> Listed {
        let attributes = Attributes.directory(id, modified: Timestamp(seconds: 0, nanoseconds: 0), lifetime: .none)
        return Listed(name: name, attributes: attributes, lifetime: .none, next: next, isComplete: false)
    }

    private func parent(of number: UInt32) throws(DFSError) -> UInt32 {
        switch table.origin(of: number) {
        case .child(let parent, _), .place(.below(let parent, _)): return parent
        case .place(let place):
            return try place.parent.map { place throws(DFSError) in try table.number(of: place) } ?? number
        case nil: throw Self.stale(NodeID(directory: number))
        }
    }

    private func list(
        _ stored: StoredDirectory, number: UInt32, after cookie: UInt64, _ body: (Listed) -> Bool
    ) throws(DFSError) {
        guard let address = stored.entry.address, cookie - 2 <= UInt64(NodeID.maximumOrdinal) else { return }
        try reader.forEach(in: address, from: UInt32(cookie - 2)) { ordinal, entry throws(DFSError) in
            let attributes = Attributes.content(
                entry, id: try id(of: entry, at: ordinal, in: number, stored), lifetime: stored.lifetime)
            return body(
                Listed(
                    name: entry.name, attributes: attributes, lifetime: stored.lifetime, next: UInt64(ordinal) + 3,
                    isComplete: entry.kind != .file
                        || !options.denials.standing(of: entry, in: stored.standing).isDenied))
        }
    }

    /// Kept per state of history, because a large one takes many requests.
    private func listing(of place: Place, number: UInt32) throws(DFSError) -> PlaceListing {
        let head = try history.head()
        if let known = listings[number], known.head == head { return known }
        let entries = try entries(of: place, number: number).sorted { $0.next < $1.next }
        let listing = PlaceListing(head: head, entries: entries)
        // A live run's files change without an entry.
        if case .run = place { return listing }
        listings.insert(listing, for: number)
        return listing
    }

    private func entries(of place: Place, number: UInt32) throws(DFSError) -> [Listed] {
        switch place {
        case .root:
            return [
                Self.listed("datasets", try attributes(.datasets), .immutable),
                Self.listed("code", try attributes(.code), .immutable),
                Self.listed("runs", try attributes(.runs), .immutable),
            ]
        case .datasets, .group: return try datasetEntries(place)
        case .dataset(let name): return try versionEntries(name, number: number)
        case .tags(let name):
            return try history.tags(of: name).map { tag throws(DFSError) in
                Self.listed(
                    tag.name,
                    try linkAttributes(tag.name, to: "../v\(tag.version)", in: number, modified: tag.set), .brief)
            }
        case .code:
            return try history.projects().filter { Self.isName($0.name) }.map { project throws(DFSError) in
                Self.listed(project.name, try attributes(project), .watched)
            }
        case .project(let name): return try snapshotEntries(name, number: number)
        case .runs: return try runEntries(number: number)
        case .run(let id): return try entries(of: try history.run(id), number: number)
        case .runData(let id):
            return try history.run(id).data.filter { Self.isName($0.key) }.map { data throws(DFSError) in
                Self.listed(data.key, try attributes(data, of: id), .immutable)
            }
        case .control, .datasetTimes, .projectTimes, .version, .snapshot, .data, .tree, .below: return []
        }
    }

    private static func isName(_ text: String) -> Bool { TreeEntry.isValid(name: Array(text.utf8)) }

    /// Positions: directories by their numbers, then made-up files and symlinks by theirs. Both only ever grow.
    private static func listed(_ name: String, _ attributes: Attributes, _ lifetime: Lifetime) -> Listed {
        let id = attributes.id
        let next = id.item == 0 ? UInt64(id.directory) + 2 : 1 << 33 + UInt64(id.item)
        return Listed(
            name: Array(name.utf8), attributes: attributes, lifetime: lifetime, next: next, isComplete: true)
    }

    private func datasetEntries(_ place: Place) throws(DFSError) -> [Listed] {
        let datasets = try history.datasets()
        if case .group(let group) = place {
            let prefix = group + "/"
            return try datasets.filter { $0.name.hasPrefix(prefix) }.map { dataset throws(DFSError) in
                Self.listed(String(dataset.name.dropFirst(prefix.count)), try attributes(dataset), .watched)
            }
        }
        var out = [Listed]()
        var groups = Set<String>()
        for dataset in datasets {
            guard let slash = dataset.name.firstIndex(of: "/") else {
                out.append(Self.listed(dataset.name, try attributes(dataset), .watched))
                continue
            }
            let group = String(dataset.name[..<slash])
            guard groups.insert(group).inserted else { continue }
            out.append(Self.listed(group, try attributes(.group(group)), .watched))
        }
        return out
    }

    private func versionEntries(_ dataset: String, number: UInt32) throws(DFSError) -> [Listed] {
        var out = [
            Self.listed("tags", try attributes(.tags(dataset)), .watched),
            Self.listed("at", try attributes(.datasetTimes(dataset)), .watched),
        ]
        for version in try history.versions(of: dataset) {
            out.append(Self.listed("v\(version.number)", try attributes(version, of: dataset), .immutable))
        }
        if let summary = try history.datasets().first(where: { $0.name == dataset }), let latest = summary.latest {
            let link = try linkAttributes("latest", to: "v\(latest)", in: number, modified: summary.changed.time)
            out.append(Self.listed("latest", link, .brief))
        }
        return out
    }

    private func snapshotEntries(_ project: String, number: UInt32) throws(DFSError) -> [Listed] {
        var out = [Self.listed("at", try attributes(.projectTimes(project)), .watched)]
        for snapshot in try history.snapshots(of: project) where Self.isName(snapshot.id) {
            out.append(Self.listed(snapshot.id, try attributes(snapshot, of: project), .immutable))
        }
        if let summary = try history.projects().first(where: { $0.name == project }), let latest = summary.latest {
            let link = try linkAttributes("latest", to: latest, in: number, modified: summary.changed.time)
            out.append(Self.listed("latest", link, .brief))
        }
        return out
    }

    private func runEntries(number: UInt32) throws(DFSError) -> [Listed] {
        let runs = try history.runs()
        var out = try runs.map { run throws(DFSError) in
            Self.listed(run.id.description, try attributes(run), .immutable)
        }
        if let latest = runs.last {
            let link = try linkAttributes(
                "latest", to: latest.id.description, in: number, modified: latest.started)
            out.append(Self.listed("latest", link, .brief))
        }
        return out
    }

    private func entries(of run: RunDetails, number: UInt32) throws(DFSError) -> [Listed] {
        let id = run.summary.id
        let lifetime = run.summary.lifetime
        var out = [Self.listed("data", try attributes(.runData(id)), .immutable)]
        for tree in RunTree.allCases {
            out.append(Self.listed(tree.rawValue, try attributes(tree: tree, of: id), .immutable))
        }
        for document in RunDocument.allCases {
            guard let bytes = try bytes(of: document, in: run.summary) else { continue }
            let attributes = Attributes.file(
                NodeID(directory: number, item: document.rawValue), size: UInt64(bytes.count),
                modified: run.summary.changed.modified, lifetime: lifetime)
            out.append(Self.listed(document.fileName, attributes, lifetime))
        }
        if metrics(of: run) != nil {
            let attributes = try attributes(of: NodeID(directory: number, item: Self.metricsItem))
            out.append(Self.listed("metrics.jsonl", attributes, lifetime))
        }
        return out
    }
}
