import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem

/// Finds what holds stored objects: what `dfs why` answers.
package struct Holders {
    package struct Holder: Sendable {
        /// A reference: `faces@v3`, `code:…`, `run:…/outputs`, or what an entry recorded besides a tree.
        package let what: String
        /// Some of the paths in it, in the form of names in JSON; empty: the tree's own nodes.
        package let paths: [String]
    }

    package struct Place: Sendable {
        package let pack: PackID
        /// Whether an entry names it.
        package let isNamed: Bool
        /// The entry that condemned it.
        package let condemned: UInt64?
    }

    private let repository: Repository
    private let state: LedgerState
    private let wanted: Set<Digest>
    /// Whether something wanted is below a node.
    private var known = [ObjectAddress: Bool]()
    private static let somePaths = 5

    package init(repository: Repository, state: LedgerState, wanted: Set<Digest>) {
        self.repository = repository
        self.state = state
        self.wanted = wanted
    }

    /// What keeps one of the wanted objects from being collected.
    package mutating func find() throws(DFSError) -> [Holder] {
        var holders = [Holder]()
        var roots = Roots(repository: repository)
        try roots.forEach(of: state) { (content, _, what) throws(DFSError) in
            switch content {
            case .tree(let tree): try add(tree, what(), to: &holders)
            case .object(let digest):
                if wanted.contains(digest) { holders.append(Holder(what: what(), paths: [])) }
            }
        }
        let now = (try? repository.backend.time()) ?? Clock.now()
        for lease in try StandingLease.all(repository.backend) where !lease.isVoid(at: now) {
            Roots.forEachRemoved(of: state, asOf: lease.sequence) { tree, what in
                // What is gone or damaged cannot be kept for anybody.
                try? add(tree, "\(what), shown by \(lease.holder)", to: &holders)
            }
        }
        return holders
    }

    private mutating func add(_ tree: TreeReference, _ what: String, to holders: inout [Holder]) throws(DFSError) {
        guard try leads(tree.tree) else { return }
        var paths = [String]()
        try list(tree.tree, "", &paths)
        holders.append(Holder(what: what, paths: paths))
    }

    /// Whether something wanted is a node, or below it.
    private mutating func leads(_ address: ObjectAddress) throws(DFSError) -> Bool {
        if let known = known[address] { return known }
        var found = wanted.contains(address.digest)
        let node = try repository.reader.node(address)
        for i in 0..<node.count where !found {
            if node.level > 0 {
                found = try leads(node.child(i).address)
            } else {
                let entry = node.entry(i)
                if entry.kind == .directory, let below = entry.address {
                    found = try leads(below)
                } else {
                    found = try holds(entry)
                }
            }
        }
        known[address] = found
        return found
    }

    private func holds(_ entry: TreeEntry) throws(DFSError) -> Bool {
        if entry.kind == .directory { return false }
        if wanted.contains(entry.content.digest) { return true }
        guard let address = entry.address else { return false }
        if wanted.contains(address.digest) { return true }
        return try repository.reader.recipe(address).chunks.contains { wanted.contains($0.id.digest) }
    }

    private mutating func list(_ directory: ObjectAddress, _ prefix: String, _ paths: inout [String]) throws(DFSError) {
        for entry in try repository.reader.entries(of: directory) {
            if paths.count >= Self.somePaths { return }
            let path = prefix + NameText.encode(entry.name)
            if entry.kind == .directory, let address = entry.address {
                if wanted.contains(address.digest) { paths.append(path + "/") }
                if try leads(address) { try list(address, path + "/", &paths) }
            } else if try holds(entry) {
                paths.append(path)
            }
        }
    }

    // MARK: Packs

    /// The packs that list one of the wanted objects, from their own tables.
    package func places() throws(DFSError) -> [Place] {
        let survey = try PackSurvey(repository, state)
        var places = [Place]()
        for pack in survey.packs.values.sorted(by: { $0.id < $1.id }) where pack.hasTable {
            guard let table = try? repository.objects.readIndex(pack.id),
                wanted.contains(where: { table.firstIndex(of: $0) != nil })
            else { continue }
            places.append(
                Place(
                    pack: pack.id, isNamed: pack.standing == .named,
                    condemned: state.condemnations.condemnation(of: pack.id)?.sequence))
        }
        return places
    }

    /// What begins so among all objects of all packs, and among the packs themselves.
    package static func objects(
        beginning prefix: DigestPrefix, in repository: Repository, _ state: LedgerState
    ) throws(DFSError) -> (objects: Set<Digest>, packs: [PackID]) {
        var objects = Set<Digest>(), packs = [PackID]()
        for pack in try PackSurvey(repository, state).packs.values where pack.hasTable {
            let table = try? repository.objects.readIndex(pack.id)
            if prefix.matches(pack.id.digest) { packs.append(pack.id) }
            guard let table else { continue }
            for i in 0..<table.count where prefix.matches(table[i].digest) { objects.insert(table[i].digest) }
        }
        return (objects, packs)
    }
}
