import DFSModel
import DFSStore

/// Where a small file lies among others.
package struct Neighbourhood: Sendable {
    /// The number of the directory, the same for all in it.
    package var directory: UInt32
    package var ordinal: UInt32
    /// Bytes of the whole tree that it belongs to.
    package var treeSize: UInt64
}

/// A file of a stored directory.
package struct Neighbour: Sendable {
    package var id: NodeID
    package var ordinal: UInt32
    fileprivate var entry: TreeEntry
    package var size: UInt64 { entry.size }
}

extension VirtualTree {
    /// The neighbourhood of a stored file of at most `limit` bytes that never changes; `nil` of anything else.
    package func neighbourhood(of id: NodeID, limit: UInt64) throws(DFSError) -> Neighbourhood? {
        guard id.item > 0, id.item < NodeID.firstLink, case .entry(let entry, let stored) = try node(id),
            stored.isImmutable, entry.kind == .file, entry.size <= limit
        else { return nil }
        return Neighbourhood(directory: id.directory, ordinal: id.item - 1, treeSize: try treeSize(id.directory))
    }

    /// The size of the tree that a directory is in.
    private func treeSize(_ number: UInt32) throws(DFSError) -> UInt64 {
        var at = number
        while case .child(let parent, _) = table.origin(of: at) { at = parent }
        guard case .stored(let root) = try directory(at) else { return .max }
        return root.entry.size
    }

    /// Calls `body` with the files of a stored directory from position `ordinal` on until it returns `false`.
    package func forEachFile(
        in number: UInt32, from ordinal: UInt32, _ body: (Neighbour) -> Bool
    ) throws(DFSError) {
        guard case .stored(let stored) = try directory(number), let address = stored.entry.address else { return }
        try reader.forEach(in: address, from: ordinal) { ordinal, entry throws(DFSError) in
            guard entry.kind == .file else { return true }
            return body(Neighbour(id: NodeID(directory: number, item: ordinal + 1), ordinal: ordinal, entry: entry))
        }
    }

    /// The bytes of a file, as `read` gives them.
    package func read(whole file: Neighbour, into buffer: UnsafeMutableRawBufferPointer) throws(DFSError) -> Int {
        try content.read(file.entry, at: 0, count: Int(file.size), into: buffer)
    }
}
