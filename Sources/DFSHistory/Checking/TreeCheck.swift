import DFSChunking
import DFSModel
import DFSStore

/// Walks trees and checks that everything they name is there and is what they say. A node is looked at once.
struct TreeCheck {
    private let repository: Repository
    private let damaged: Set<Digest>
    private let files: Bool
    private var visited = [ObjectAddress: Bool]()
    private var present = [Digest: Bool]()
    private var paths = [Digest: [String]]()
    private(set) var problems = [Checker.Problem]()
    private(set) var objects = 0

    init(repository: Repository, damaged: Set<Digest>, files: Bool) {
        self.repository = repository
        self.damaged = damaged
        self.files = files
    }

    /// Places that need one of `digests`, at most a few.
    func affected(by digests: [Digest]) -> [String] {
        Array(Set(digests.flatMap { paths[$0] ?? [] }).sorted().prefix(20))
    }

    mutating func check(_ tree: TreeReference, _ name: String) {
        let root = TreeEntry.root(tree, modified: Timestamp(seconds: 0, nanoseconds: 0))
        if !directory(root, name) { note(tree.tree.digest, name) }
    }

    private mutating func note(_ digest: Digest, _ place: String) {
        if paths[digest, default: []].count < 20 { paths[digest, default: []].append(place) }
    }

    /// Whether everything below is sound.
    private mutating func directory(_ entry: TreeEntry, _ place: String) -> Bool {
        guard let address = entry.address else { return false }
        if let known = visited[address], known { return true }
        var sound = true
        do {
            let entries = try repository.reader.entries(of: address)
            objects += 1
            for child in entries { sound = self.entry(child, place + "/" + NameText.display(child.name)) && sound }
            if ContentDigest.ofDirectory(entries) != entry.content {
                problems.append(
                    Checker.Problem(what: "\(place): the content digest is not that of its entries", affects: [place]))
                sound = false
            }
            let node = try repository.reader.node(address)
            if node.files != entry.files || node.size != entry.size {
                problems.append(Checker.Problem(what: "\(place): its totals are wrong", affects: [place]))
                sound = false
            }
        } catch {
            problems.append(
                Checker.Problem(
                    what: "\(place): \(error.what)" + (error.cause.map { ": \($0)" } ?? ""), affects: [place]))
            sound = false
        }
        visited[address] = sound
        return sound
    }

    private mutating func entry(_ entry: TreeEntry, _ place: String) -> Bool {
        switch entry.kind {
        case .directory: return directory(entry, place)
        case .symlink:
            guard Digest.of(entry.target) == entry.content.digest else {
                problems.append(Checker.Problem(what: "\(place): the link's digest is wrong", affects: [place]))
                return false
            }
            return true
        case .file:
            do { return try file(entry, place) } catch {
                problems.append(
                    Checker.Problem(
                        what: "\(place): \(error.what)" + (error.cause.map { ": \($0)" } ?? ""), affects: [place]))
                return false
            }
        }
    }

    private mutating func file(_ entry: TreeEntry, _ place: String) throws(DFSError) -> Bool {
        guard let address = entry.address else { return try chunk(entry.content.digest, place) }
        var sound = true
        let recipe = try repository.reader.recipe(address)
        objects += 1
        guard recipe.size == entry.size, recipe.content == entry.content else {
            problems.append(Checker.Problem(what: "\(place): the recipe is another file's", affects: [place]))
            return false
        }
        for chunk in recipe.chunks { sound = try self.chunk(chunk.id.digest, place) && sound }
        if files, sound {
            var hasher = Hasher256()
            for chunk in recipe.chunks {
                let bytes = try repository.objects.chunk(chunk.id)
                bytes.withUnsafeBytes { hasher.update($0) }
            }
            if hasher.finish() != entry.content.digest {
                problems.append(Checker.Problem(what: "\(place): the file's digest is wrong", affects: [place]))
                sound = false
            }
        }
        return sound
    }

    private mutating func chunk(_ digest: Digest, _ place: String) throws(DFSError) -> Bool {
        if damaged.contains(digest) {
            note(digest, place)
            return false
        }
        if let known = present[digest] { return known }
        let found = try repository.objects.contains(digest)
        present[digest] = found
        objects += 1
        if !found {
            problems.append(
                Checker.Problem(what: "\(place): chunk \(digest.text) is in no pack", affects: [place]))
        }
        return found
    }
}
