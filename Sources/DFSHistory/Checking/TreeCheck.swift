import DFSChunking
import DFSModel
import DFSStore
import DFSSystem

/// Checks that everything that trees name is there and what they say. On all threads; whatever several trees share is looked
/// at once, so that versions cost what they changed.
final class TreeCheck: Sendable {
    let facts = TreeFacts()
    let objects: CheckedObjects
    /// Nodes and recipes that were looked at.
    let count = Counter()
    private let files: Bool
    private let threads: Int
    private let stack = WorkStack<Job>()
    /// The lines of leaves that go into content digests, for directories of several.
    private let lines = BoundedCache<ObjectAddress, [UInt8]>(limit: 64 << 20)

    private enum Job: Sendable {
        case node(ObjectAddress, isDirectory: Bool)
        /// The content of a directory of several nodes.
        case content(ObjectAddress)
        /// The digest of a file that has a recipe.
        case file(ObjectAddress)
    }

    /// With `files`, also the digest of every file that has a recipe.
    init(objects: CheckedObjects, files: Bool, threads: Int) {
        self.objects = objects
        self.files = files
        self.threads = threads
    }

    /// Looks at everything below the roots.
    func run(_ roots: [TreeReference]) throws(DFSError) {
        for root in roots {
            facts.claim(.init(content: root.content, files: root.files, size: root.bytes), for: root.tree)
            stack.push(.node(root.tree, isDirectory: true))
        }
        try work()
        stack.push(facts.directoriesWithoutContent.map { .content($0) })
        try work()
        facts.compareClaims()
    }

    private func work() throws(DFSError) {
        try stack.run(threads: threads) { _, job throws(DFSError) in
            switch job {
            case .node(let address, let isDirectory): self.node(address, isDirectory)
            case .content(let address): self.content(address)
            case .file(let address): self.file(address)
            }
        }
    }

    // MARK: Nodes

    private func node(_ address: ObjectAddress, _ isDirectory: Bool) {
        guard facts.isNew(address) else { return }
        count.increment()
        var found = TreeFacts.Node()
        var jobs = [Job]()
        do throws(DFSError) {
            let node = try objects.node(address)
            found.level = node.level
            found.files = node.files
            found.size = node.size
            if !isDirectory, node.count > 0 { found.firstName = Array(node.name(0)) }
            if let place = objects.table.find(address.digest) { found.packs.append(place.number) }
            if node.level > 0 {
                found.children = (0..<node.count).map { node.address($0) }
                jobs = found.children.map { .node($0, isDirectory: false) }
            } else {
                leaf(node, address, isDirectory, &found, &jobs)
            }
        } catch { found.isBad = true }
        facts.set(found, for: address)
        stack.push(jobs)
    }

    private func leaf(
        _ node: TreeNode, _ address: ObjectAddress, _ isDirectory: Bool, _ found: inout TreeFacts.Node,
        _ jobs: inout [Job]
    ) {
        var text = ContentDigest.directoryPrefix
        text.reserveCapacity(node.count * 96)
        var packs = Set(found.packs)
        for i in 0..<node.count {
            let entry = node.entry(i)
            entry.appendLine(to: &text)
            switch entry.kind {
            case .directory:
                guard let child = entry.address else { continue }
                found.children.append(child)
                facts.claim(.init(content: entry.content, files: entry.files, size: entry.size), for: child)
                jobs.append(.node(child, isDirectory: true))
            case .symlink:
                if Digest.of(entry.target) != entry.content.digest { found.isBad = true }
            case .file:
                let causes = self.causes(of: entry, jobs: &jobs) { packs.insert($0) }
                if !causes.isEmpty { found.isBad = true }
            }
        }
        found.packs = packs.sorted()
        if isDirectory {
            facts.set(ContentDigest(Digest.of(text)), for: address)
        } else {
            text.removeFirst(ContentDigest.directoryPrefix.count)
            lines.insert(text, for: address, cost: text.count + 64)
        }
    }

    // MARK: Files

    /// Why a file cannot be read whole; empty when it can.
    enum Cause: Hashable, Sendable {
        /// Damaged or missing in this pack, by its number, and in every other that lists it.
        case pack(UInt32)
        case nowhere(Digest)
        case wrong(String)
    }

    /// `found` gets the numbers of the packs that have it.
    func causes(of file: TreeEntry, _ found: (UInt32) -> Void = { _ in }) -> Set<Cause> {
        var jobs = [Job]()
        return causes(of: file, jobs: &jobs, found)
    }

    private func causes(of file: TreeEntry, jobs: inout [Job], _ found: (UInt32) -> Void) -> Set<Cause> {
        guard let address = file.address else {
            return chunk(file.content.digest, length: file.size, found).map { [$0] } ?? []
        }
        if let known = facts.recipe(address), !known.isBad {
            known.packs.forEach(found)
            return Self.mismatch(file, known)
        }
        var facts = TreeFacts.Recipe()
        var causes = Set<Cause>()
        count.increment()
        do throws(DFSError) {
            let recipe = try objects.recipe(address)
            facts.size = recipe.size
            facts.content = recipe.content
            var packs = Set<UInt32>()
            if let place = objects.table.find(address.digest) { packs.insert(place.number) }
            for chunk in recipe.chunks {
                if let cause = self.chunk(chunk.id.digest, length: UInt64(chunk.length), { packs.insert($0) }) {
                    causes.insert(cause)
                }
            }
            packs.forEach(found)
            facts.packs = packs.sorted()
            if files, causes.isEmpty { jobs.append(.file(address)) }
        } catch { causes = lost(address.digest, error) }
        facts.isBad = !causes.isEmpty
        self.facts.set(facts, for: address)
        return causes.union(Self.mismatch(file, facts))
    }

    private static func mismatch(_ file: TreeEntry, _ recipe: TreeFacts.Recipe) -> Set<Cause> {
        if recipe.isWrong { return [.wrong("the file's digest is wrong")] }
        if recipe.isBad || recipe.size == file.size && recipe.content == file.content { return [] }
        return [.wrong("its recipe is another file's")]
    }

    private func chunk(_ digest: Digest, length: UInt64, _ found: (UInt32) -> Void) -> Cause? {
        if let place = objects.table.find(digest) {
            guard UInt64(place.length) == length else {
                return .wrong("chunk \(digest.text) has another length than \(length)")
            }
            found(place.number)
            return nil
        }
        return lost(digest).first
    }

    /// Why there is no copy that can be read.
    func lost(_ digest: Digest, _ error: DFSError? = nil) -> Set<Cause> {
        let places = objects.table.places(of: digest)
        if places.isEmpty { return [.nowhere(digest)] }
        let damaged = places.filter(\.isDamaged)
        if damaged.count < places.count, let error {
            return [.wrong(error.what + (error.cause.map { ": \($0)" } ?? ""))]
        }
        return Set(damaged.map { .pack($0.number) })
    }

    private func file(_ address: ObjectAddress) {
        do throws(DFSError) {
            let recipe = try objects.recipe(address)
            var hasher = Hasher256()
            for chunk in recipe.chunks {
                let bytes = try objects.object(chunk.id.digest, "a chunk")
                bytes.withUnsafeBytes { hasher.update($0) }
            }
            if hasher.finish() != recipe.content.digest { facts.markWrong(recipe: address) }
        } catch { facts.markWrong(recipe: address) }
    }

    // MARK: Directories of several nodes

    private func content(_ address: ObjectAddress) {
        var hasher = Hasher256()
        ContentDigest.directoryPrefix.withUnsafeBytes { hasher.update($0) }
        guard hash(address, into: &hasher) else { return }
        facts.set(ContentDigest(hasher.finish()), for: address)
    }

    /// `false` when something of it cannot be read, or does not fit together.
    private func hash(_ address: ObjectAddress, into hasher: inout Hasher256) -> Bool {
        guard let known = facts.node(address), let node = try? objects.node(address) else { return false }
        guard node.level > 0 else {
            let text = lines[address] ?? Self.lines(of: node)
            text.withUnsafeBytes { hasher.update($0) }
            return true
        }
        for i in 0..<node.count {
            let child = node.child(i)
            guard let below = facts.node(child.address) else { return false }
            let isAsSaid =
                below.level == known.level - 1 && below.files == child.files && below.size == child.size
                && (below.firstName.isEmpty || below.firstName == child.firstName)
            guard below.isBad || isAsSaid else {
                facts.markBad(address)
                return false
            }
            guard hash(child.address, into: &hasher) else { return false }
        }
        return true
    }

    private static func lines(of node: TreeNode) -> [UInt8] {
        var text = [UInt8]()
        for i in 0..<node.count { node.entry(i).appendLine(to: &text) }
        return text
    }
}
