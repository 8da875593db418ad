import DFSModel
import DFSStore
import DFSSystem
import Synchronization

extension Capture {
    /// Counts off `count` parts of a directory; finishes it, and what contains it, when all are there.
    func complete(_ directory: PendingDirectory, _ count: Int) throws(DFSError) {
        let left = directory.state.withLock { state in
            state.remaining -= count
            return state.remaining
        }
        if left == 0 { try finish(directory) }
    }

    /// Makes the tree node of a directory whose parts are all known.
    func finish(_ directory: PendingDirectory) throws(DFSError) {
        let (slots, row, missed) = directory.state.withLock { state in
            defer {
                state.slots = []
                state.row = nil
                state.descriptor = nil
            }
            return (state.slots, state.row, state.missedCache)
        }
        let observed = slots.compactMap(\.entry)
        let content = ContentDigest.ofDirectory(observed)
        let summary: TreeReference
        if let row, row.summary.content == content, try writer.use(row.summary.tree.digest) {
            summary = row.summary
        } else {
            summary = try build(try adopted(observed, content, directory), content)
        }
        if let cache,
            missed || row?.summary != summary || row?.items.count != slots.count(where: { $0.status.kind == .file })
        {
            remember(directory, slots, summary, cache)
        }
        try deliver(directory, summary)
    }

    /// Entries whose kind, executable bit and content are unchanged stay as they were first committed.
    private func adopted(
        _ observed: [TreeEntry], _ content: ContentDigest, _ directory: PendingDirectory
    ) throws(DFSError) -> [TreeEntry] {
        guard let address = try previous(of: directory)?.address else { return observed }
        let before = try reader.entries(of: address)
        var result = observed
        var i = 0
        for j in result.indices {
            while i < before.count, ByteOrder.precedes(before[i].name, result[j].name) { i += 1 }
            guard i < before.count else { break }
            if before[i].name == result[j].name, before[i].letter == result[j].letter,
                before[i].content == result[j].content
            {
                result[j] = before[i]
            }
        }
        return result
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

    private func build(_ entries: [TreeEntry], _ content: ContentDigest) throws(DFSError) -> TreeReference {
        var files: UInt64 = 0, bytes: UInt64 = 0
        for entry in entries {
            files += entry.kind == .directory ? entry.files : 1
            bytes += entry.kind == .symlink ? 0 : entry.size
        }
        let root = try TreeBuilder.build(entries) { node throws(DFSError) in try self.writer.put(node.bytes) }
        return TreeReference(content: content, tree: root, files: files, bytes: bytes)
    }

    private func remember(
        _ directory: PendingDirectory, _ slots: [PendingDirectory.Slot], _ summary: TreeReference, _ cache: StatCache
    ) {
        let items = slots.compactMap { slot -> StatCache.Item? in
            guard let entry = slot.entry, entry.kind == .file, !slot.isRacy else { return nil }
            return StatCache.Item(entry: entry, changed: slot.status.changed, inode: slot.status.inode)
        }
        let update = cache.update(
            device: directory.status.device, inode: directory.status.inode,
            StatCache.Row(summary: summary, items: items))
        updates.withLock { $0.append(update) }
    }

    private func deliver(_ directory: PendingDirectory, _ summary: TreeReference) throws(DFSError) {
        var entry = TreeEntry.root(summary, modified: directory.status.modified, mode: directory.status.mode & 0o777)
        entry.name = directory.name
        guard let parent = directory.parent else {
            let result = (entry, summary)
            return finishedRoot.withLock { $0 = result }
        }
        parent.state.withLock { $0.slots[directory.slot].entry = entry }
        try complete(parent, 1)
    }
}
