import DFSModel
import DFSStore
import DFSSystem
import Synchronization

extension Capture {
    /// Leaves from which a directory is made on all threads.
    private static let leavesWorthSharing = 16

    /// Counts off `count` parts of a directory; finishes it, and what contains it, when all are there.
    func complete(_ directory: PendingDirectory, _ count: Int) throws(DFSError) {
        let left = directory.state.withLock { state in
            state.remaining -= count
            return state.remaining
        }
        if left == 0 { try finish(directory) }
    }

    /// Makes the tree of a directory whose entries are all known.
    func finish(_ directory: PendingDirectory) throws(DFSError) {
        let (parts, boundaries, row) = directory.state.withLock { state in
            defer { state = PendingDirectory.State() }
            return (state.parts.map(\.kept), state.boundaries, state.row)
        }
        let content = ContentDigest.ofDirectory(parts.lazy.map(\.entries))
        let summary: TreeReference
        if let row, row.summary.content == content, try writer.use(row.summary.tree.digest) {
            summary = row.summary
        } else {
            summary = try build(Self.runs(parts, boundaries), content, directory)
        }
        if let cache { remember(directory, parts, boundaries, summary, row, cache) }
        try deliver(directory, summary)
    }

    /// The directory of the previous version at the same place.
    private func previous(of directory: PendingDirectory) throws(DFSError) -> TreeEntry? {
        if let known = directory.previous.withLock({ $0 }) { return known }
        var found: TreeEntry?
        if let parent = directory.parent {
            if let above = try previous(of: parent)?.address,
                let entry = try reader.entry(named: directory.name, in: above), entry.kind == .directory
            {
                found = entry
            }
        } else {
            found = previousRoot
        }
        let result = found
        directory.previous.withLock { $0 = .some(result) }
        return found
    }

    // MARK: Nodes

    /// Entries that can be cut into leaves apart: parts end where leaves do, unless the name that ends a part was left out.
    private static func runs(_ parts: [PendingDirectory.Part], _ boundaries: [[UInt8]]) -> [[TreeEntry]] {
        var runs = [[TreeEntry]](), run = [TreeEntry]()
        for (number, part) in parts.enumerated() {
            if run.isEmpty { run = part.entries } else { run += part.entries }
            guard number + 1 < parts.count, run.last?.name == boundaries[number + 1] else { continue }
            runs.append(run)
            run = []
        }
        return run.isEmpty && !runs.isEmpty ? runs : runs + [run]
    }

    private func build(
        _ runs: [[TreeEntry]], _ content: ContentDigest, _ directory: PendingDirectory
    ) throws(DFSError) -> TreeReference {
        let before = try previous(of: directory)?.address
        let known = if let before { try reader.leaves(of: before) } else { [TreeBuilder.Item]() }
        let work = runs.flatMap { entries in TreeBuilder.leafRanges(entries).map { entries[$0] } }
        let leaves = try leaves(work, known)
        let root = try TreeBuilder.join(leaves) { node throws(DFSError) in try self.writer.put(node.bytes) }
        return TreeReference(
            content: content, tree: root, files: leaves.reduce(0) { $0 + $1.files },
            bytes: leaves.reduce(0) { $0 + $1.size })
    }

    private func leaves(
        _ work: [ArraySlice<TreeEntry>], _ known: [TreeBuilder.Item]
    ) throws(DFSError) -> [TreeBuilder.Item] {
        guard work.count >= Self.leavesWorthSharing else {
            var out = [TreeBuilder.Item]()
            for entries in work { out.append(try leaf(entries, known)) }
            return out
        }
        let next = Atomic<Int>(0)
        let results = Mutex<(items: [TreeBuilder.Item?], failure: DFSError?)>(
            (Array(repeating: nil, count: work.count), nil))
        Workers.run(options.threads) { _ in
            while true {
                let i = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard i < work.count else { return }
                do throws(DFSError) {
                    let item = try self.leaf(work[i], known)
                    results.withLock { $0.items[i] = item }
                } catch { results.withLock { $0.failure = error } }
            }
        }
        let (items, failure) = results.withLock { $0 }
        if let failure { throw failure }
        return items.compactMap { $0 }
    }

    /// Stores the leaf of these entries, or takes that of the previous version which says the same. Entries whose kind,
    /// executable bit and content are unchanged stay as they were first committed.
    private func leaf(
        _ entries: ArraySlice<TreeEntry>, _ known: [TreeBuilder.Item]
    ) throws(DFSError) -> TreeBuilder.Item {
        guard let first = entries.first?.name, let last = entries.last?.name else {
            return try store(TreeBuilder.leaf(entries))
        }
        // The last leaf that begins at or before `first`, and those up to `last`.
        var low = 0, high = known.count
        while low < high {
            let middle = (low + high) / 2
            if ByteOrder.compare(known[middle].firstName, first) <= 0 { low = middle + 1 } else { high = middle }
        }
        var adopted: [TreeEntry]?
        var position = entries.startIndex
        for item in known[max(0, low - 1)...] {
            guard ByteOrder.compare(item.firstName, last) <= 0 else { break }
            let node = try reader.node(item.address)
            if adopted == nil, item.firstName == first, Int(item.entries) == entries.count,
                entries.indices.allSatisfy({ node.agrees($0 - entries.startIndex, with: entries[$0]) }),
                try writer.use(item.address.digest)
            {
                return item
            }
            var result = adopted ?? Array(entries)
            adopt(from: node, into: &result, &position, base: entries.startIndex)
            adopted = result
        }
        return try store(TreeBuilder.leaf(adopted?[...] ?? entries))
    }

    private func adopt(from node: TreeNode, into result: inout [TreeEntry], _ position: inout Int, base: Int) {
        for i in 0..<node.count {
            let name = Array(node.name(i))
            while position - base < result.count, ByteOrder.precedes(result[position - base].name, name) {
                position += 1
            }
            guard position - base < result.count else { return }
            if node.agrees(i, with: result[position - base]) { result[position - base] = node.entry(i) }
        }
    }

    private func store(_ node: TreeBuilder.Node) throws(DFSError) -> TreeBuilder.Item {
        TreeBuilder.Item(node, at: try writer.put(node.bytes))
    }

    // MARK: What comes after

    private func remember(
        _ directory: PendingDirectory, _ parts: [PendingDirectory.Part], _ boundaries: [[UInt8]],
        _ summary: TreeReference, _ row: StatCache.Row?, _ cache: StatCache
    ) {
        let isSame = row?.summary == summary && row?.boundaries == boundaries
        guard !isSame || parts.contains(where: \.missedCache) else { return }
        let changed = parts.enumerated().map { number, part -> StatCache.Part in
            // A part that the cache holds as it is need not be written again.
            if row?.boundaries == boundaries, parts.count > 1, !part.missedCache {
                return .init(boundary: boundaries[number], items: nil)
            }
            let items = zip(part.entries, part.extras).compactMap { entry, extra in
                entry.kind == .file && !extra.isRacy
                    ? StatCache.Item(entry: entry, changed: extra.changed, inode: extra.inode) : nil
            }
            return .init(boundary: boundaries[number], items: items)
        }
        let update = cache.update(
            device: directory.status.device, inode: directory.status.inode, summary, changed, replacing: row)
        updates.withLock { $0.append(update) }
    }

    private func deliver(_ directory: PendingDirectory, _ summary: TreeReference) throws(DFSError) {
        var entry = TreeEntry.root(summary, modified: directory.status.modified, mode: directory.status.mode & 0o777)
        entry.name = directory.name
        guard let parent = directory.parent else {
            let result = (entry, summary)
            return finishedRoot.withLock { $0 = result }
        }
        let slot = directory.slot
        parent.state.withLock { $0.parts[slot.part].entries[slot.index] = entry }
        try complete(parent, 1)
    }
}
