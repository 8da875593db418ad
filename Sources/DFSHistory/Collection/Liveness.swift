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
    private var roots: Roots

    /// Nodes and recipes whose content is marked. Apart from the digests: a file may have the bytes of a node, and then the
    /// digest says nothing of what the node leads to.
    private struct Visited {
        var nodes = Set<ObjectAddress>()
        var recipes = Set<ObjectAddress>()
    }

    init(repository: Repository) {
        self.repository = repository
        roots = Roots(repository: repository)
    }

    func contains(_ digest: Digest) -> Bool { needed.contains(digest) || wished.contains(digest) }

    // MARK: Roots

    /// Marks what the state needs.
    mutating func mark(_ state: LedgerState) throws(DFSError) {
        var roots = roots
        try roots.forEach(of: state) { (content, isNeeded, what) throws(DFSError) in
            switch content {
            case .tree(let tree): try mark(tree, what())
            case .object(let digest): insert(digest, isNeeded)
            }
        }
        self.roots = roots
    }

    /// Marks versions that somebody shows as of an older entry, and that were removed since; `nil`: any that was removed.
    mutating func mark(_ state: LedgerState, asOf sequence: UInt64?) {
        Roots.forEachRemoved(of: state, asOf: sequence) { tree, _ in
            // What is gone or damaged cannot be kept for anybody.
            try? walk(tree.tree, isNeeded: false)
        }
    }

    // MARK: Trees

    private mutating func mark(_ tree: TreeReference, _ name: String) throws(DFSError) {
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
