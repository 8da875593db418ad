import DFSModel
import DFSStore
import DFSSystem
import Glibc

/// Reads trees and files of a store, with bounded caches. Everything returned was checked against its digest.
package final class TreeReader: Sendable {
    package let store: ObjectStore
    private let nodes: BoundedCache<ObjectAddress, TreeNode>
    private let recipes: BoundedCache<ObjectAddress, Recipe>
    private let chunks: ChunkCache
    private let ahead: ReadAhead
    package let counters = ReadCounters()

    /// `cacheBytes` bounds the memory kept for nodes and chunks together.
    package init(store: ObjectStore, cacheBytes: Int = 64 << 20) {
        self.store = store
        nodes = BoundedCache(limit: cacheBytes * 3 / 8)
        recipes = BoundedCache(limit: cacheBytes / 8)
        chunks = ChunkCache(store: store, limit: cacheBytes / 2, counters: counters)
        ahead = ReadAhead(cache: chunks, budget: cacheBytes / 6)
    }

    package func node(_ address: ObjectAddress) throws(DFSError) -> TreeNode {
        if let node = nodes[address] { return node }
        let node = try store.node(address)
        nodes.insert(node, for: address, cost: node.bytes.count + node.count * 4 + 128)
        return node
    }

    /// Whether the node was read and is kept.
    package func holds(_ address: ObjectAddress) -> Bool { nodes[address] != nil }

    // MARK: Directories

    /// Calls `body` with the entries of a directory in order of their names until it returns `false`.
    @discardableResult
    package func forEach(
        in directory: ObjectAddress, _ body: (TreeEntry) throws(DFSError) -> Bool
    ) throws(DFSError) -> Bool {
        let node = try node(directory)
        for i in 0..<node.count {
            if node.level == 0 {
                guard try body(node.entry(i)) else { return false }
            } else {
                guard try forEach(in: try checkedChild(node, i).address, body) else { return false }
            }
        }
        return true
    }

    package func entries(of directory: ObjectAddress) throws(DFSError) -> [TreeEntry] {
        var out = [TreeEntry]()
        try forEach(in: directory) { entry throws(DFSError) in
            out.append(entry)
            return true
        }
        return out
    }

    /// The addresses of all nodes of one directory: its root and what that is cut into.
    package func nodes(of directory: ObjectAddress) throws(DFSError) -> [ObjectAddress] {
        let node = try node(directory)
        guard node.level > 0 else { return [directory] }
        var out = [directory]
        for i in 0..<node.count { out += try nodes(of: try checkedChild(node, i).address) }
        return out
    }

    /// The leaves of one directory, in order. Only the nodes above them are read, or the one that is both.
    package func leaves(of directory: ObjectAddress) throws(DFSError) -> [TreeBuilder.Item] {
        let node = try node(directory)
        guard node.level > 0 else {
            let first = node.count > 0 ? Array(node.name(0)) : []
            return [
                TreeBuilder.Item(
                    firstName: first, entries: UInt32(node.count), files: node.files, size: node.size,
                    address: directory)
            ]
        }
        var out = [TreeBuilder.Item]()
        for i in 0..<node.count {
            let child = node.child(i)
            if node.level > 1 {
                out += try leaves(of: try checkedChild(node, i).address)
            } else {
                out.append(
                    TreeBuilder.Item(
                        firstName: child.firstName, entries: child.entries, files: child.files, size: child.size,
                        address: child.address))
            }
        }
        return out
    }

    package func entry(named name: [UInt8], in directory: ObjectAddress) throws(DFSError) -> TreeEntry? {
        var node = try node(directory)
        while node.level > 0 {
            guard let child = node.child(holding: name) else { return nil }
            node = try checked(try self.node(child), child, below: node)
        }
        return node.entry(named: name)
    }

    /// A child whose level is one below its parent's: crafted nodes cannot make a cycle.
    private func checkedChild(_ node: TreeNode, _ i: Int) throws(DFSError) -> TreeNode.Child {
        let child = node.child(i)
        _ = try checked(try self.node(child.address), child.address, below: node)
        return child
    }

    private func checked(_ child: TreeNode, _ address: ObjectAddress, below node: TreeNode) throws(DFSError) -> TreeNode
    {
        guard child.level == node.level - 1 else {
            throw DFSError(.corrupt, "tree node \(address) has the wrong level", hint: "dfs verify")
        }
        return child
    }

    /// The entry at a path below `root`; symlinks are not followed. `nil` when there is nothing.
    package func entry(at path: [[UInt8]], below root: TreeEntry) throws(DFSError) -> TreeEntry? {
        var current = root
        for name in path {
            guard current.kind == .directory, let address = current.address,
                let next = try entry(named: name, in: address)
            else { return nil }
            current = next
        }
        return current
    }

    /// Calls `body` with each path below `root` (slash-joined) and its entry; a directory comes before what is in it.
    package func walk(
        _ root: TreeEntry, prefix: [UInt8] = [], _ body: ([UInt8], TreeEntry) throws(DFSError) -> Void
    ) throws(DFSError) {
        guard root.kind == .directory, let address = root.address else { return }
        try forEach(in: address) { entry throws(DFSError) in
            let path = prefix.isEmpty ? entry.name : prefix + [0x2f] + entry.name
            try body(path, entry)
            if entry.kind == .directory { try self.walk(entry, prefix: path, body) }
            return true
        }
    }

    // MARK: Files

    package func recipe(_ address: ObjectAddress) throws(DFSError) -> Recipe {
        if let recipe = recipes[address] { return recipe }
        let recipe = try store.recipe(address)
        recipes.insert(recipe, for: address, cost: recipe.chunks.count * 48 + 128)
        return recipe
    }

    /// The recipe of `file`, which must be this file's.
    package func recipe(_ address: ObjectAddress, of file: TreeEntry) throws(DFSError) -> Recipe {
        let recipe = try recipe(address)
        guard recipe.size == file.size, recipe.content == file.content else {
            throw DFSError(
                .corrupt, "the recipe of \(NameText.display(file.name)) is another file's", hint: "dfs verify")
        }
        return recipe
    }

    /// Reads up to `buffer.count` bytes at `offset`; fewer only at the end of the file.
    package func read(
        _ file: TreeEntry, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DFSError) -> Int {
        guard offset < file.size, buffer.count > 0 else { return 0 }
        let count = Int(min(UInt64(buffer.count), file.size - offset))
        let target = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        guard let address = file.address else {
            try read(chunkOf: file, at: Int(offset), into: target)
            return count
        }
        let recipe = try recipe(address, of: file)
        ahead.note(file.content, recipe, at: offset, count: count)
        var done = 0, i = recipe.index(at: offset), isCompressed = false
        while done < count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: target[done...])
            let inside = Int(offset + UInt64(done) - recipe.starts[i])
            let chunk = recipe.chunks[i]
            if inside > 0 || Int(chunk.length) > rest.count {
                // An end of the request cuts it: the next request has the rest.
                let length = min(Int(chunk.length) - inside, rest.count)
                try copy(
                    try chunks.chunk(chunk.id, length: Int(chunk.length)), from: inside, count: length, to: rest, file)
                done += length
                i += 1
            } else if let bytes = chunks.kept(chunk.id) {
                try copy(bytes, from: 0, count: Int(chunk.length), to: rest, file)
                done += Int(chunk.length)
                i += 1
            } else {
                let run = try store.read(chunksOf: recipe, from: i, into: rest)
                (run.isCompressed ? counters.decompressed : counters.raw).increment(by: run.bytes)
                counters.misses.increment(by: run.chunks)
                isCompressed = isCompressed || run.isCompressed
                done += run.bytes
                i += run.chunks
            }
        }
        if isCompressed { ahead.follow(file.content, upTo: offset + UInt64(count)) }
        return count
    }

    /// A part of a file that is one chunk.
    private func read(
        chunkOf file: TreeEntry, at offset: Int, into target: UnsafeMutableRawBufferPointer
    ) throws(DFSError) {
        let id = ChunkID(file.content.digest)
        guard offset == 0, target.count == Int(file.size) else {
            return try copy(
                try chunks.chunk(id, length: Int(file.size)), from: offset, count: target.count, to: target, file)
        }
        let isCompressed = try store.read(chunk: id, into: target)
        (isCompressed ? counters.decompressed : counters.raw).increment(by: target.count)
    }

    private func copy(
        _ chunk: ChunkMemory, from start: Int, count: Int, to target: UnsafeMutableRawBufferPointer, _ file: TreeEntry
    ) throws(DFSError) {
        guard start + count <= chunk.bytes.count, count <= target.count else {
            throw DFSError(.corrupt, "\(NameText.display(file.name)) is longer than its chunks", hint: "dfs verify")
        }
        if let from = chunk.bytes.baseAddress, let to = target.baseAddress { memcpy(to, from + start, count) }
    }

    /// Calls `body` with the content of a regular file piece by piece, in order. Nothing is kept.
    package func forEachPiece(
        of file: TreeEntry, _ body: (UnsafeRawBufferPointer) throws(DFSError) -> Void
    ) throws(DFSError) {
        let recipe: Recipe
        if let address = file.address {
            recipe = try self.recipe(address, of: file)
        } else if file.size > 0 {
            let whole = Recipe.Chunk(id: ChunkID(file.content.digest), length: UInt32(clamping: file.size))
            recipe = Recipe(size: file.size, content: file.content, chunks: [whole])
        } else {
            return
        }
        try store.forEachPiece(of: recipe, body)
    }

    /// The whole content of a file that is small enough to hold.
    package func bytes(of file: TreeEntry, limit: Int = 64 << 20) throws(DFSError) -> [UInt8] {
        guard file.size <= UInt64(limit) else {
            throw DFSError(.operational, "\(NameText.display(file.name)) is too large to read at once")
        }
        var failure: DFSError?
        let out = [UInt8](unsafeUninitializedCapacity: Int(file.size)) { buffer, count in
            do throws(DFSError) {
                count = try self.read(
                    file, at: 0, into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: Int(file.size)))
            } catch { failure = error }
        }
        if let failure { throw failure }
        return out
    }
}
