import DFSModel
import DFSStore
import DFSSystem

/// Finds what stands at one path in one tree after the other. Nodes that were looked into for an earlier tree are not read
/// again, so trees that follow each other cost the nodes on the way to the path that changed.
package struct PathHistory {
    private let reader: TreeReader
    private let path: [[UInt8]]
    /// For each part of the path: what the rest of it leads to from a node.
    private var known: [[ObjectAddress: TreeEntry?]]
    private static let limit = 1 << 14

    /// `path`: names below the root, at least one.
    package init(reader: TreeReader, path: [[UInt8]]) {
        self.reader = reader
        self.path = path
        known = path.map { _ in [:] }
    }

    /// `nil` when there is nothing at the path in the tree with this root node.
    package mutating func entry(in root: ObjectAddress) throws(DFSError) -> TreeEntry? {
        try entry(root, depth: 0, level: nil)
    }

    private mutating func entry(_ address: ObjectAddress, depth: Int, level: UInt8?) throws(DFSError) -> TreeEntry? {
        if let entry = known[depth][address] { return entry }
        let node = try reader.node(address)
        guard level == nil || level == node.level else {
            throw DFSError(.corrupt, "tree node \(address) has the wrong level", hint: "dfs verify")
        }
        var found: TreeEntry?
        if node.level > 0 {
            if let child = node.child(holding: path[depth]) {
                found = try entry(child, depth: depth, level: node.level - 1)
            }
        } else if let entry = node.entry(named: path[depth]) {
            if depth == path.count - 1 {
                found = entry
            } else if entry.kind == .directory, let below = entry.address {
                found = try self.entry(below, depth: depth + 1, level: nil)
            }
        }
        if known[depth].count >= Self.limit { known[depth] = [:] }
        known[depth][address] = .some(found)
        return found
    }
}
