import DFSChunking
import DFSModel
import DFSStore

/// Walks trees and checks that everything they name is there, is what they say, and lies in packs that their event names.
/// A node is looked at once.
struct TreeCheck {
    private let repository: Repository
    private let damaged: Set<Digest>
    private let files: Bool
    private var visited = [ObjectAddress: Visited]()
    private var places = [Digest: Place]()
    private var paths = [Digest: [String]]()
    private var packNumbers = [PackID: Int]()
    private(set) var problems = [Checker.Problem]()
    private(set) var objects = 0

    /// What a directory's node has turned out to be.
    private struct Visited {
        var isSound = true
        var content: ContentDigest
        var files: UInt64
        var size: UInt64
        /// Where it and all below it was found: numbers of packs.
        var uses: Set<Int> = []
    }

    /// Where a chunk or object was found.
    private struct Place {
        let pack: Int
        let length: UInt32
    }

    init(repository: Repository, damaged: Set<Digest>, files: Bool) {
        self.repository = repository
        self.damaged = damaged
        self.files = files
    }

    /// Places that need one of `digests`, at most a few.
    func affected(by digests: [Digest]) -> [String] {
        Array(Set(digests.flatMap { paths[$0] ?? [] }).sorted().prefix(20))
    }

    /// Checks one tree of an event whose pack set, with bases, is `packs`; `nil` when that could not be read.
    mutating func check(_ tree: TreeReference, _ name: String, packs: Set<PackID>?) {
        let root = TreeEntry.root(tree, modified: Timestamp(seconds: 0, nanoseconds: 0))
        let uses = directory(root, name)
        guard let uses else { return note(tree.tree.digest, name) }
        guard let packs, !uses.isSubset(of: packs.map { number(of: $0) }) else { return }
        do { try coverage(root, name, packs) } catch { problem(name, error) }
    }

    private mutating func number(of pack: PackID) -> Int {
        if let number = packNumbers[pack] { return number }
        packNumbers[pack] = packNumbers.count
        return packNumbers.count - 1
    }

    private mutating func note(_ digest: Digest, _ place: String) {
        if paths[digest, default: []].count < 20 { paths[digest, default: []].append(place) }
    }

    private mutating func problem(_ place: String, _ what: String) {
        problems.append(Checker.Problem(what: "\(place): \(what)", affects: [place]))
    }

    private mutating func problem(_ place: String, _ error: DFSError) {
        problem(place, error.what + (error.cause.map { ": \($0)" } ?? ""))
    }

    // MARK: Presence

    /// The packs in which everything below was found; `nil` when something is not as it should be.
    private mutating func directory(_ entry: TreeEntry, _ place: String) -> Set<Int>? {
        guard let address = entry.address else { return nil }
        let known: Visited
        if let before = visited[address], before.isSound {
            known = before
        } else {
            do { known = try visit(address, place) } catch {
                problem(place, error)
                return nil
            }
            visited[address] = known
        }
        var isSound = known.isSound
        if known.content != entry.content {
            problem(place, "the content digest is not that of its entries")
            isSound = false
        }
        if known.files != entry.files || known.size != entry.size {
            problem(place, "its totals are wrong")
            isSound = false
        }
        return isSound ? known.uses : nil
    }

    private mutating func visit(_ address: ObjectAddress, _ place: String) throws(DFSError) -> Visited {
        let entries = try repository.reader.entries(of: address)
        let node = try repository.reader.node(address)
        var found = Visited(content: ContentDigest.ofDirectory(entries), files: node.files, size: node.size)
        for node in try repository.reader.nodes(of: address) {
            objects += 1
            if let place = try self.place(of: node.digest) { found.uses.insert(place.pack) }
        }
        for child in entries {
            guard let uses = self.entry(child, place + "/" + NameText.display(child.name)) else {
                found.isSound = false
                continue
            }
            found.uses.formUnion(uses)
        }
        return found
    }

    private mutating func entry(_ entry: TreeEntry, _ place: String) -> Set<Int>? {
        switch entry.kind {
        case .directory: return directory(entry, place)
        case .symlink:
            guard Digest.of(entry.target) == entry.content.digest else {
                problem(place, "the link's digest is wrong")
                return nil
            }
            return []
        case .file:
            do { return try file(entry, place) } catch {
                problem(place, error)
                return nil
            }
        }
    }

    private mutating func file(_ entry: TreeEntry, _ place: String) throws(DFSError) -> Set<Int>? {
        guard let address = entry.address else {
            guard let pack = try chunk(entry.content.digest, length: entry.size, place) else { return nil }
            return [pack]
        }
        let recipe = try repository.reader.recipe(address, of: entry)
        objects += 1
        var uses = Set<Int>(), isSound = true
        if let place = try self.place(of: address.digest) { uses.insert(place.pack) }
        for chunk in recipe.chunks {
            if let pack = try self.chunk(chunk.id.digest, length: UInt64(chunk.length), place) {
                uses.insert(pack)
            } else {
                isSound = false
            }
        }
        if files, isSound { isSound = try wholeDigest(recipe, place) }
        return isSound ? uses : nil
    }

    private mutating func wholeDigest(_ recipe: Recipe, _ place: String) throws(DFSError) -> Bool {
        var hasher = Hasher256()
        for chunk in recipe.chunks {
            let bytes = try repository.objects.chunk(chunk.id)
            bytes.withUnsafeBytes { hasher.update($0) }
        }
        if hasher.finish() == recipe.content.digest { return true }
        problem(place, "the file's digest is wrong")
        return false
    }

    private mutating func chunk(_ digest: Digest, length: UInt64, _ place: String) throws(DFSError) -> Int? {
        if damaged.contains(digest) {
            note(digest, place)
            return nil
        }
        guard let found = try self.place(of: digest) else {
            problem(place, "chunk \(digest.text) is in no pack")
            return nil
        }
        guard UInt64(found.length) == length else {
            problem(place, "chunk \(digest.text) has another length than \(length)")
            return nil
        }
        return found.pack
    }

    private mutating func place(of digest: Digest) throws(DFSError) -> Place? {
        if let known = places[digest] { return known }
        guard let found = try repository.objects.find(digest) else { return nil }
        objects += 1
        let place = Place(pack: number(of: found.pack), length: found.item.length)
        places[digest] = place
        return place
    }

    // MARK: Coverage

    /// Says what of a tree lies in none of `packs`. The same bytes may be in several packs: what was found elsewhere may
    /// be here too.
    private mutating func coverage(_ root: TreeEntry, _ name: String, _ packs: Set<PackID>) throws(DFSError) {
        let allowed = Set(packs.map { number(of: $0) })
        var missing = [Digest: String]()
        try elsewhere(root, name, allowed, &missing)
        for pack in packs {
            let table = try repository.objects.readIndex(pack)
            missing = missing.filter { table.find($0.key) == nil }
            if missing.isEmpty { return }
        }
        guard let first = missing.min(by: { $0.value < $1.value }) else { return }
        problems.append(
            Checker.Problem(
                what: "\(name): \(missing.count) of its objects are in no pack that its entry names, such as "
                    + "\(first.key.text) of \(first.value)", affects: [name]))
    }

    private func elsewhere(
        _ entry: TreeEntry, _ place: String, _ allowed: Set<Int>, _ missing: inout [Digest: String]
    ) throws(DFSError) {
        func require(_ digest: Digest) {
            if let found = places[digest], !allowed.contains(found.pack) { missing[digest] = place }
        }
        guard let address = entry.address else {
            if entry.kind == .file { require(entry.content.digest) }
            return
        }
        require(address.digest)
        guard entry.kind == .directory else {
            for chunk in try repository.reader.recipe(address, of: entry).chunks { require(chunk.id.digest) }
            return
        }
        if let uses = visited[address]?.uses, uses.isSubset(of: allowed) { return }
        for node in try repository.reader.nodes(of: address) { require(node.digest) }
        for child in try repository.reader.entries(of: address) {
            try elsewhere(child, place + "/" + NameText.display(child.name), allowed, &missing)
        }
    }
}
