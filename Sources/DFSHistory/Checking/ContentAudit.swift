import DFSChunking
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem

/// Checks everything stored that the events of runs name: metadata packs, records, pack sets, trees, recipes, bytes.
struct ContentAudit {
    private let objects: AuditedObjects
    private let events: EventList
    /// The longest file without a recipe.
    private let maximum: UInt64
    private var visited = Set<JSONValue>()
    private(set) var problems = [String]()

    private static let formats = ["dataset.committed": "commit", "code.captured": "code", "run.started": "run"]

    init(objects: AuditedObjects, events: EventList, maximum: Int) {
        self.objects = objects
        self.events = events
        self.maximum = UInt64(maximum)
    }

    private mutating func note(_ place: String, _ error: DFSError) {
        problems.append("\(place): \(error.what)" + (error.cause.map { ": \($0)" } ?? ""))
    }

    private func wrong(_ what: String) -> DFSError { DFSError(.corrupt, what, hint: "dfs verify") }

    // MARK: Runs

    mutating func check(run: RunID) {
        let id = JSONValue.string(run.description)
        let own = events.recordings.filter { $0.json["run"] == id && $0.kind.hasPrefix("run.") }
        guard let start = own.first(where: { $0.kind == "run.started" }) else {
            problems.append("run \(run): the ledger lacks its start")
            return
        }
        for event in own { check(event) }
        require(run, "code.captured", ["project", "snapshot"], start.json)
        for input in start.json["data"]?.array ?? [] {
            require(run, "dataset.committed", ["dataset", "version", "content"], input)
        }
    }

    private mutating func require(_ run: RunID, _ kind: String, _ names: [String], _ wanted: JSONValue) {
        let found = events.recordings.filter { event in
            event.kind == kind && names.allSatisfy { event.json[$0] == wanted[$0] }
        }
        if found.isEmpty { problems.append("run \(run): the ledger lacks its \(kind)") }
        for event in found { check(event) }
    }

    // MARK: Events

    private mutating func check(_ event: EventList.Recording) {
        guard visited.insert(event.json).inserted else { return }
        let place = "entry \(event.sequence) (\(event.kind))"
        do throws(DFSError) { try checkContent(event, place) } catch { note(place, error) }
    }

    private mutating func checkContent(_ event: EventList.Recording, _ place: String) throws(DFSError) {
        guard let pack = event.json["pack"]?.digest, let set = event.json["packs"]?.digest,
            let record = event.json["record"]?.digest
        else { throw wrong("it does not say where its content is") }
        let home = PackID(pack)
        let among = events.standing([home] + (try packSet(set)).sorted())
        let json = try JSONValue.parseCanonical(try objects.fetch(record, among: events.standing([home])))
        let annotation = event.kind == "run.annotated" ? event.json["name"]?.string : nil
        let format = "dfs.\(annotation ?? Self.formats[event.kind] ?? "result")/1"
        guard json["format"]?.string == format else { throw wrong("its record is not \(format)") }
        for digest in events.standing([home]) == [home] ? objects.digests(in: home) : [] {
            try metadata(try objects.fetch(digest, among: [home]))
        }
        let parts = ["outputs", "work", "logs", "evidence"].compactMap { name in
            event.json[name].map { (name, $0) }
        }
        let whole = event.json["tree"] == nil ? [] : [("", event.json)]
        for (name, part) in parts + whole {
            guard let tree = TreeReference(part) else { throw wrong("its tree is malformed") }
            try check(tree, "\(place) \(name)", among)
        }
    }

    /// What a metadata pack may hold.
    private func metadata(_ bytes: [UInt8]) throws(DFSError) {
        if bytes.starts(with: "DFST".utf8) {
            _ = try TreeNode.decode(bytes)
        } else if bytes.starts(with: "DFSR".utf8) {
            _ = try Recipe.decode(bytes)
        } else if try JSONValue.parseCanonical(bytes)["format"]?.string == nil {
            throw wrong("a metadata object has no format")
        }
    }

    private func packSet(_ first: Digest) throws(DFSError) -> Set<PackID> {
        var chain = [PackSet](), seen = Set<Digest>(), next: Digest? = first
        while let digest = next {
            guard seen.insert(digest).inserted, let home = events.homes[digest] else {
                throw wrong("pack set \(digest.text) is its own base, or no event names it")
            }
            let set = try PackSet.decode(try objects.fetch(digest, among: events.standing([home])))
            chain.append(set)
            next = set.base?.digest
        }
        var packs = Set<PackID>()
        for set in chain.reversed() {
            packs.formUnion(set.added)
            packs.subtract(set.removed)
        }
        return packs
    }

    // MARK: Trees

    private mutating func check(_ tree: TreeReference, _ place: String, _ among: [PackID]) throws(DFSError) {
        let root = TreeEntry.root(tree, modified: Timestamp(seconds: 0, nanoseconds: 0))
        try directory(root, place, among)
    }

    private mutating func directory(_ entry: TreeEntry, _ place: String, _ among: [PackID]) throws(DFSError) {
        guard let address = entry.address else { throw wrong("a directory without a node") }
        let entries = try entries(of: address, level: nil, among)
        // Built anew from its entries, the node has the same address only if order, cuts and totals are right.
        var last: TreeBuilder.Node?
        let built = try TreeBuilder.build(entries) { node throws(DFSError) in
            last = node
            return ObjectAddress(Digest.of(node.bytes))
        }
        guard built == address else { throw wrong("a node is cut where it must not be, or its totals are wrong") }
        guard ContentDigest.ofDirectory(entries) == entry.content, last?.files == entry.files, last?.size == entry.size
        else { throw wrong("content digest or totals are wrong") }
        for child in entries {
            let here = place + "/" + NameText.display(child.name)
            do throws(DFSError) { try check(child, here, among) } catch { note(here, error) }
        }
    }

    private func entries(
        of address: ObjectAddress, level: UInt8?, _ among: [PackID]
    ) throws(DFSError) -> [TreeEntry] {
        let node = try TreeNode.decode(try objects.fetch(address.digest, among: among))
        guard level == nil || node.level == level else { throw wrong("a node has the wrong level") }
        if node.level == 0 { return (0..<node.count).map { node.entry($0) } }
        var out = [TreeEntry]()
        for i in 0..<node.count { out += try entries(of: node.child(i).address, level: node.level - 1, among) }
        return out
    }

    private mutating func check(_ entry: TreeEntry, _ place: String, _ among: [PackID]) throws(DFSError) {
        switch entry.kind {
        case .directory: try directory(entry, place, among)
        case .symlink:
            guard Digest.of(entry.target) == entry.content.digest, entry.size == UInt64(entry.target.count) else {
                throw wrong("content digest or totals are wrong")
            }
        case .file: try file(entry, among)
        }
    }

    private func file(_ entry: TreeEntry, _ among: [PackID]) throws(DFSError) {
        guard (entry.address != nil) == (entry.size > maximum) else {
            throw wrong("its recipe is not as its size asks")
        }
        var chunks = [(digest: Digest, length: UInt64)]()
        if let address = entry.address {
            let recipe = try Recipe.decode(try objects.fetch(address.digest, among: among))
            guard recipe.size == entry.size, recipe.content == entry.content else {
                throw wrong("the recipe's header is wrong")
            }
            chunks = recipe.chunks.map { ($0.id.digest, UInt64($0.length)) }
        } else if entry.size > 0 {
            chunks = [(entry.content.digest, entry.size)]
        }
        var hasher = Hasher256()
        for chunk in chunks {
            let bytes = try objects.fetch(chunk.digest, among: among)
            guard UInt64(bytes.count) == chunk.length else { throw wrong("a chunk has another length") }
            bytes.withUnsafeBytes { hasher.update($0) }
        }
        guard hasher.finish() == entry.content.digest else { throw wrong("content digest or totals are wrong") }
    }
}
