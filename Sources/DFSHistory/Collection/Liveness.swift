import DFSLedger
import DFSModel
import DFSStore

/// Which stored objects something still needs: marks from all roots of a ledger's state.
///
/// A root that cannot be read completely is an error: whoever would delete must not go on. Marking again with a later state
/// adds what is new and costs little.
struct Liveness {
    private let repository: Repository
    /// What must be in some pack.
    private(set) var needed = Set<Digest>()
    /// What is kept where it is found: of leases, and what rejected events and tags name.
    private(set) var wished = Set<Digest>()
    private var neededTrees = Visited()
    private var wishedTrees = Visited()
    private var seenRuns = Set<RunID>()
    private var seenRejections = 0

    /// Nodes and recipes whose content is marked. Apart from the digests: a file may have the bytes of a node, and then the
    /// digest says nothing of what the node leads to.
    private struct Visited {
        var nodes = Set<ObjectAddress>()
        var recipes = Set<ObjectAddress>()
    }

    init(repository: Repository) { self.repository = repository }

    func contains(_ digest: Digest) -> Bool { needed.contains(digest) || wished.contains(digest) }

    // MARK: Roots

    /// Marks what the state needs: versions that stand or that a run read, snapshots, runs, and of every entry, also of one
    /// about a removed version, record, text and pack set.
    mutating func mark(_ state: LedgerState) throws(DFSError) {
        for set in state.packSets { needed.insert(set.packs.digest) }
        let read = state.versionsReadByRuns
        for name in state.datasetNames {
            guard let dataset = state.datasets[name] else { continue }
            for version in dataset.versions {
                keep(version.record, version.text)
                if dataset.removal(of: version.number) == nil || read[name]?.contains(version.number) == true {
                    try tree(version.tree, "\(name)@v\(version.number)")
                }
            }
            for removal in dataset.removals.values { needed.insert(removal.text.digest) }
            for change in dataset.tagHistory.values.joined() { wish(change.text) }
        }
        for name in state.projectNames {
            for snapshot in state.projects[name]?.snapshots ?? RecordList() {
                keep(snapshot.record, nil)
                try tree(snapshot.tree, "code:\(name)@\(snapshot.id)")
            }
        }
        for run in state.runs { try mark(run) }
        try markRejected(state)
    }

    private mutating func mark(_ run: RunRecord) throws(DFSError) {
        keep(run.record, run.text)
        for change in run.tagHistory { wish(change.text) }
        for end in [run.end, run.supersededEnd] {
            guard let end else { continue }
            keep(end.record, nil)
            for (part, tree) in [("outputs", end.outputs), ("work", end.work), ("logs", end.logs)] {
                if let tree { try self.tree(tree, "run:\(run.id)/\(part)") }
            }
        }
        guard seenRuns.insert(run.id).inserted else { return }
        let plan = try repository.objects.json(run.record.record, what: "the plan of run \(run.id)")
        for part in ["stable", "job", "volatile"] {
            if let digest = plan["host"]?[part]?.digest { needed.insert(digest) }
        }
    }

    private mutating func keep(_ record: RecordReference, _ text: ObjectAddress?) {
        needed.insert(record.record.digest)
        if let text { needed.insert(text.digest) }
    }

    private mutating func wish(_ text: ObjectAddress?) { if let text { wished.insert(text.digest) } }

    /// Events that were passed over are part of the ledger all the same.
    private mutating func markRejected(_ state: LedgerState) throws(DFSError) {
        for event in try repository.rejectedEvents(of: state, from: seenRejections) {
            for name in ["record", "text", "packs"] { if let digest = event[name]?.digest { wished.insert(digest) } }
        }
        seenRejections = state.rejected.count
    }

    /// Marks versions that somebody shows as of an older entry, and that were removed since; `nil`: any that was removed.
    mutating func mark(_ state: LedgerState, asOf sequence: UInt64?) {
        for name in state.datasetNames {
            guard let dataset = state.datasets[name] else { continue }
            for (number, removal) in dataset.removals {
                guard let version = dataset.version(number) else { continue }
                if let sequence, removal.sequence <= sequence || version.sequence > sequence { continue }
                // What is gone or damaged cannot be kept for anybody.
                try? walk(version.tree.tree, isNeeded: false)
            }
        }
    }

    // MARK: Trees

    private mutating func tree(_ tree: TreeReference, _ name: String) throws(DFSError) {
        do throws(DFSError) { try walk(tree.tree, isNeeded: true) } catch {
            throw DFSError(
                error.code, "\(name) cannot be read completely, so nothing is collected",
                cause: error.what + (error.cause.map { ": \($0)" } ?? ""), hint: "dfs verify", errno: error.errno)
        }
    }

    private mutating func walk(_ root: ObjectAddress, isNeeded: Bool) throws(DFSError) {
        var open = [root]
        while let address = open.popLast() {
            if neededTrees.nodes.contains(address) || !isNeeded && wishedTrees.nodes.contains(address) { continue }
            let node = try repository.reader.node(address)
            insert(address.digest, isNeeded)
            for i in 0..<node.count {
                if node.level > 0 {
                    open.append(node.child(i).address)
                    continue
                }
                let entry = node.entry(i)
                switch (entry.kind, entry.address) {
                case (.symlink, _): break
                case (.directory, let address?): open.append(address)
                case (.file, let address?): try recipe(address, isNeeded)
                case (_, nil): insert(entry.content.digest, isNeeded)
                }
            }
            if isNeeded { neededTrees.nodes.insert(address) } else { wishedTrees.nodes.insert(address) }
        }
    }

    private mutating func recipe(_ address: ObjectAddress, _ isNeeded: Bool) throws(DFSError) {
        if neededTrees.recipes.contains(address) || !isNeeded && wishedTrees.recipes.contains(address) { return }
        let recipe = try repository.reader.recipe(address)
        insert(address.digest, isNeeded)
        for chunk in recipe.chunks { insert(chunk.id.digest, isNeeded) }
        if isNeeded { neededTrees.recipes.insert(address) } else { wishedTrees.recipes.insert(address) }
    }

    private mutating func insert(_ digest: Digest, _ isNeeded: Bool) {
        if isNeeded { needed.insert(digest) } else { wished.insert(digest) }
    }
}

extension Repository {
    /// The events of a state that were passed over, as they stand in the ledger, from the `first` on.
    func rejectedEvents(of state: LedgerState, from first: Int = 0) throws(DFSError) -> [JSONValue] {
        var events = [JSONValue]()
        for rejected in state.rejected.dropFirst(first) {
            guard let entry = try ledger.entry(rejected.sequence), entry.events.indices.contains(rejected.index) else {
                continue
            }
            events.append(entry.events[rejected.index])
        }
        return events
    }
}
