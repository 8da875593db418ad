import DFSLedger
import DFSModel
import DFSStore
import DFSSystem

/// Checks that what trees need lies in packs of their events' sets (FORMAT.md §6).
///
/// Follows sets from base to base: where a set extends the one before, nodes that were covered there are covered here, so a
/// version costs what it changed.
struct PackCoverage {
    private let facts: TreeFacts
    private let objects: CheckedObjects
    private let replacements: [PackID: [PackID]]
    private var states = [ObjectAddress: State]()

    /// What one set covers.
    private struct State {
        /// Numbers of its packs.
        var packs: Set<UInt32>
        /// The pack written with the event that named it.
        var own: UInt32?
        var covered = Set<ObjectAddress>()

        func holds(_ number: UInt32) -> Bool { number == own || packs.contains(number) }
    }

    /// `replacements`: what serves for packs that are gone.
    init(check: TreeCheck, replacements: [PackID: [PackID]]) {
        facts = check.facts
        objects = check.objects
        self.replacements = replacements
    }

    /// What is wrong with where the tree of an event lies; `nil` when all is where it should be. Call in order of the ledger.
    mutating func problem(_ tree: TreeReference, _ record: RecordReference) throws(DFSError) -> String? {
        var state = try take(record)
        var missing = Set<Digest>()
        try walk(tree.tree, &state, &missing)
        states[record.packs] = state
        guard let first = missing.min() else { return nil }
        let place = try path(to: first, in: tree.tree).map { " of " + $0 } ?? ""
        return "\(missing.count) of its objects are in no pack that its entry names, such as \(first.text)\(place)"
    }

    // MARK: Sets

    private mutating func take(_ record: RecordReference) throws(DFSError) -> State {
        let own = objects.table.number(of: record.pack)
        if var same = states.removeValue(forKey: record.packs) {
            if same.own != own { same.covered = [] }
            same.own = own
            return same
        }
        var chain = [PackSet]()
        var seen = Set<ObjectAddress>()
        var next: ObjectAddress? = record.packs
        var state = State(packs: [])
        while let address = next {
            if let before = states.removeValue(forKey: address) {
                state = before
                break
            }
            guard seen.insert(address).inserted else {
                throw DFSError(.corrupt, "pack set \(address) is its own base", hint: "dfs verify")
            }
            let set = try PackSet.decode(try objects.object(address.digest, "a pack set"))
            chain.append(set)
            next = set.base
        }
        for set in chain.reversed() {
            for pack in set.added { add(pack, to: &state) }
            if !set.removed.isEmpty { state.covered = [] }
            for pack in set.removed { if let number = objects.table.number(of: pack) { state.packs.remove(number) } }
        }
        if let before = state.own, before != own, !state.packs.contains(before) { state.covered = [] }
        state.own = own
        for pack in replacements[record.pack] ?? [] { add(pack, to: &state) }
        return state
    }

    private func add(_ pack: PackID, to state: inout State) {
        var open = [pack], seen = Set<PackID>()
        while let pack = open.popLast() {
            guard seen.insert(pack).inserted else { continue }
            if let number = objects.table.number(of: pack) { state.packs.insert(number) }
            open += replacements[pack] ?? []
        }
    }

    // MARK: Trees

    private func walk(_ address: ObjectAddress, _ state: inout State, _ missing: inout Set<Digest>) throws(DFSError) {
        guard !state.covered.contains(address), let node = facts.node(address) else { return }
        if !node.packs.allSatisfy(state.holds) {
            // The same bytes may be in several packs: what was found elsewhere may be here too.
            var own = Set<Digest>()
            try forEachDigest(address) { digest in
                if !objects.table.places(of: digest).contains(where: { state.holds($0.number) }) { own.insert(digest) }
            }
            missing.formUnion(own)
        }
        for child in node.children { try walk(child, &state, &missing) }
        if missing.isEmpty { state.covered.insert(address) }
    }

    /// The node and what its files need.
    private func forEachDigest(_ address: ObjectAddress, _ body: (Digest) -> Void) throws(DFSError) {
        body(address.digest)
        let node = try objects.node(address)
        guard node.level == 0 else { return }
        for i in 0..<node.count { try forEachDigest(of: node.entry(i), body) }
    }

    private func forEachDigest(of entry: TreeEntry, _ body: (Digest) -> Void) throws(DFSError) {
        guard entry.kind == .file else { return }
        guard let recipe = entry.address else { return body(entry.content.digest) }
        body(recipe.digest)
        for chunk in try objects.recipe(recipe).chunks { body(chunk.id.digest) }
    }

    /// Where below a directory something is needed.
    private func path(to digest: Digest, in address: ObjectAddress) throws(DFSError) -> String? {
        if address.digest == digest { return "its directory" }
        let node = try objects.node(address)
        for i in 0..<node.count {
            if node.level > 0 {
                if let found = try path(to: digest, in: node.address(i)) { return found }
                continue
            }
            let entry = node.entry(i), name = NameText.display(entry.name)
            if entry.kind == .directory, let child = entry.address {
                guard let found = try path(to: digest, in: child) else { continue }
                return found == "its directory" ? name : name + "/" + found
            }
            var isHere = false
            try forEachDigest(of: entry) { if $0 == digest { isHere = true } }
            if isHere { return name }
        }
        return nil
    }
}
