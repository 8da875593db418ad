import DFSModel
import DFSStore
import DFSSystem
import Glibc

extension VirtualTree {
    /// What `name` in the directory `parent` stands for. Counts as one lookup of the id found (see `forget`).
    /// `caller`: the process that asks, for the record of what is refused.
    package func lookup(
        _ name: [UInt8], in parent: NodeID, caller: Int32 = 0
    ) throws(DFSError) -> LookupResult {
        guard parent.item == 0 else { throw DFSError(.operational, "not a directory", errno: ENOTDIR) }
        let number = parent.directory
        switch try directory(number) {
        case .stored(let stored): return try lookup(name, in: stored, number: number, caller)
        case .live(let location): return try lookup(name, in: location, number: number)
        case .empty: return .absent(lifetime: .none)
        case .place(let place):
            guard let text = Self.text(name, in: place) else { return .absent(lifetime: .none) }
            // Some names need no history, so that its failure is no failure yet.
            let seen = Result { () throws(DFSError) in try history.head() }
            if let found = try known(text, in: place, number: number) { return found }
            // It may have been recorded a moment ago.
            guard try history.lookAgain(after: try seen.get()) else { return .absent(lifetime: .none) }
            return try known(text, in: place, number: number) ?? .absent(lifetime: .none)
        }
    }

    private func known(_ name: String, in place: Place, number: UInt32) throws(DFSError) -> LookupResult? {
        do { return try lookup(name, in: place, number: number) } catch {
            // What is no time is no name either: with any other answer nothing could be said to be absent there, and
            // creating it would fail with that answer instead of EROFS.
            if error.code == .noReference || error.code == .usage { return nil }
            throw error
        }
    }

    /// The kernel has dropped `lookups` of an id. Only files of live runs are counted.
    package func forget(_ id: NodeID, lookups: UInt64) {
        if id.item >= NodeID.firstLive { live.forget(id, lookups: lookups) }
    }

    /// Names that the tree makes up are printable ASCII, but for the keys of a run's data, which its user chose.
    private static func text(_ name: [UInt8], in place: Place) -> String? {
        if case .runData = place { return String(validating: name, as: UTF8.self) }
        return name.allSatisfy { (0x20..<0x7f).contains($0) } ? String(decoding: name, as: UTF8.self) : nil
    }

    private func lookup(
        _ name: [UInt8], in stored: StoredDirectory, number: UInt32, _ caller: Int32
    ) throws(DFSError) -> LookupResult {
        // Nor is it said what is not there.
        if stored.standing.isDenied { throw refuse("lookup", NodeID(directory: number), name: name, caller) }
        guard let address = stored.entry.address, let (ordinal, entry) = try reader.find(name, in: address) else {
            return .absent(lifetime: stored.lifetime)
        }
        // A directory can be seen to be there. A file cannot: with its id it would be opened without a question.
        if entry.kind == .file, options.denials.standing(of: entry, in: stored.standing).isDenied {
            throw refuse("lookup", NodeID(directory: number), name: name, caller)
        }
        let id = try id(of: entry, at: ordinal, in: number, stored)
        return .found(.content(entry, id: id, lifetime: stored.lifetime), lifetime: stored.lifetime)
    }

    func id(
        of entry: TreeEntry, at ordinal: UInt32, in number: UInt32, _ stored: StoredDirectory
    ) throws(DFSError) -> NodeID {
        guard entry.kind == .directory else { return NodeID(directory: number, item: ordinal + 1) }
        // Positions change when the tree is corrected; names keep their meaning.
        if !stored.isImmutable { return NodeID(directory: try table.number(of: .below(number, name: entry.name))) }
        return NodeID(directory: try table.number(ofChild: ordinal, named: entry.name, in: number))
    }

    /// A name in a directory that the tree makes up; `nil` when there is none.
    private func lookup(_ name: String, in place: Place, number: UInt32) throws(DFSError) -> LookupResult? {
        switch place {
        case .root: return try rootLookup(name)
        case .control: return controlLookup(name, number: number)
        case .datasets, .group: return try datasetLookup(name, in: place)
        case .dataset(let dataset): return try lookup(name, inDataset: dataset, number: number)
        case .tags(let dataset):
            guard let tag = try history.tags(of: dataset).first(where: { $0.name == name }) else { return nil }
            return try link(name, to: "../v\(tag.version)", in: number, modified: tag.set)
        case .datasetTimes(let dataset):
            return try link("", to: "../v\(try history.version(of: dataset, at: name))", in: number)
        case .code:
            guard let project = try history.projects().first(where: { $0.name == name }) else { return nil }
            return .found(try attributes(project), lifetime: .watched)
        case .project(let project): return try lookup(name, inProject: project, number: number)
        case .projectTimes(let project):
            return try link("", to: "../\(try history.snapshot(of: project, at: name))", in: number)
        case .runs: return try runLookup(name, number: number)
        case .run(let id): return try lookup(name, in: try history.run(id))
        case .runData(let id): return try dataLookup(name, in: try history.run(id))
        case .version, .snapshot, .data, .tree, .below: return nil
        }
    }

    private func rootLookup(_ name: String) throws(DFSError) -> LookupResult? {
        let place: Place
        switch name {
        case ".dfs": place = .control
        case "datasets": place = .datasets
        case "code": place = .code
        case "runs": place = .runs
        default: return nil
        }
        return .found(try attributes(place), lifetime: .immutable)
    }

    private func controlLookup(_ name: String, number: UInt32) -> LookupResult? {
        guard let (item, lifetime) = control.lookup(name), let bytes = control.bytes(item) else { return nil }
        let id = NodeID(directory: number, item: item)
        return .found(
            .file(id, size: UInt64(bytes.count), modified: started, lifetime: .immutable), lifetime: lifetime)
    }

    private func datasetLookup(_ name: String, in place: Place) throws(DFSError) -> LookupResult? {
        guard !name.contains("/") else { return nil }
        let datasets = try history.datasets()
        if case .group(let group) = place {
            let full = group + "/" + name
            return try datasets.first { $0.name == full }.map { dataset throws(DFSError) in
                .found(try attributes(dataset), lifetime: .watched)
            }
        }
        if let dataset = datasets.first(where: { $0.name == name }) {
            return .found(try attributes(dataset), lifetime: .watched)
        }
        guard datasets.contains(where: { $0.name.hasPrefix(name + "/") }) else { return nil }
        return .found(try attributes(.group(name)), lifetime: .watched)
    }

    private func lookup(_ name: String, inDataset dataset: String, number: UInt32) throws(DFSError) -> LookupResult? {
        switch name {
        case "tags": return .found(try attributes(.tags(dataset)), lifetime: .watched)
        case "at": return .found(try attributes(.datasetTimes(dataset)), lifetime: .watched)
        case "latest":
            guard let summary = try history.datasets().first(where: { $0.name == dataset }),
                let latest = summary.latest
            else { return nil }
            return try link(name, to: "v\(latest)", in: number, modified: summary.changed.time)
        default: break
        }
        if name.hasPrefix("@") {
            let prefix = name.dropFirst(name.hasPrefix("@sha256:") ? 8 : 1)
            guard (8...64).contains(prefix.utf8.count), prefix.utf8.allSatisfy(Self.isHexDigit) else { return nil }
            let version = try history.version(of: dataset, digestPrefix: String(prefix))
            return try link("", to: "v\(version)", in: number)
        }
        guard let version = Self.versionNumber(name) else { return nil }
        let summary = try history.version(version, of: dataset)
        // Neither trouble nor absence: that it was there is known.
        if summary.isRemoved {
            throw DFSError(.operational, "\(dataset)@v\(version) was removed", errno: ESTALE)
        }
        return .found(try attributes(summary, of: dataset), lifetime: .immutable)
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }

    /// `v1`, `v2`, …; a number has one spelling only.
    private static func versionNumber(_ name: String) -> Int? {
        guard name.hasPrefix("v"), let number = Int(name.dropFirst()), number > 0, name == "v\(number)" else {
            return nil
        }
        return number
    }

    private func lookup(_ name: String, inProject project: String, number: UInt32) throws(DFSError) -> LookupResult? {
        switch name {
        case "at": return .found(try attributes(.projectTimes(project)), lifetime: .watched)
        case "latest":
            guard let summary = try history.projects().first(where: { $0.name == project }),
                let latest = summary.latest
            else { return nil }
            return try link(name, to: latest, in: number, modified: summary.changed.time)
        default:
            let snapshot = try history.snapshot(name, of: project)
            guard snapshot.id == name else { return nil }
            return .found(try attributes(snapshot, of: project), lifetime: .immutable)
        }
    }

    private func runLookup(_ name: String, number: UInt32) throws(DFSError) -> LookupResult? {
        if name == "latest" {
            guard let latest = try history.runs().last else { return nil }
            return try link(name, to: latest.id.description, in: number, modified: latest.started)
        }
        if let id = RunID(name) {
            return .found(try attributes(try history.run(id).summary), lifetime: .immutable)
        }
        return try link("", to: try history.run(matching: name).description, in: number)
    }

    private func lookup(_ name: String, in run: RunDetails) throws(DFSError) -> LookupResult? {
        let id = run.summary.id
        let lifetime = run.summary.lifetime
        if name == "data" { return .found(try attributes(.runData(id)), lifetime: .immutable) }
        if let tree = RunTree(rawValue: name) {
            return .found(try attributes(tree: tree, of: id), lifetime: .immutable)
        }
        let number = try table.number(of: .run(id))
        if name == "metrics.jsonl" {
            let node = NodeID(directory: number, item: Self.metricsItem)
            guard metrics(of: run) != nil else { return nil }
            return .found(try attributes(of: node), lifetime: lifetime)
        }
        guard let document = RunDocument.allCases.first(where: { $0.fileName == name }),
            let bytes = try bytes(of: document, in: run.summary)
        else { return nil }
        return .found(
            .file(
                NodeID(directory: number, item: document.rawValue), size: UInt64(bytes.count),
                modified: run.summary.changed.modified, lifetime: lifetime), lifetime: lifetime)
    }

    private func dataLookup(_ name: String, in run: RunDetails) throws(DFSError) -> LookupResult? {
        // Bytes are compared: as text, NFC and NFD are equal.
        guard let data = run.data.first(where: { $0.key.utf8.elementsEqual(name.utf8) }) else { return nil }
        return .found(try attributes(data, of: run.summary.id), lifetime: .immutable)
    }

    /// A symlink. `name` is empty for names that are only looked up.
    private func link(
        _ name: String, to target: String, in number: UInt32, modified: Timestamp? = nil
    ) throws(DFSError) -> LookupResult {
        .found(
            try linkAttributes(name, to: target, in: number, modified: modified ?? started), lifetime: .brief)
    }

    func linkAttributes(
        _ name: String, to target: String, in number: UInt32, modified: Timestamp
    ) throws(DFSError) -> Attributes {
        let target = Array(target.utf8)
        let link = LinkTable.Link(directory: number, name: Array(name.utf8), target: target, modified: modified)
        return .link(try links.id(of: link), target: target, modified: modified)
    }
}
