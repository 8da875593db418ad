import DFSModel
import DFSStore

/// Finds entries of a stored directory by name and by position, through as few nodes as it has levels.
///
/// A node is checked by itself when it is decoded; that nodes fit together is checked here.
struct TreeReader: Sendable {
    let content: any ContentSource

    private static func mismatch(_ address: ObjectAddress, _ cause: String) -> DFSError {
        DFSError(.corrupt, "tree node \(address) does not fit its parent", cause: cause, hint: "dfs verify")
    }

    /// The position and entry of `name`; `nil` when the directory does not hold it.
    func find(_ name: [UInt8], in root: ObjectAddress) throws(DFSError) -> (ordinal: UInt32, entry: TreeEntry)? {
        var address = root
        var node = try content.node(address)
        var before: UInt32 = 0
        var claimed: UInt32?
        while node.level > 0 {
            var index = node.lowerBound(name)
            if index == node.count || !node.name(index).elementsEqual(name) { index -= 1 }
            guard index >= 0 else { return nil }
            for i in 0..<index { before = try add(before, node.entriesBelow(i), address) }
            claimed = node.entriesBelow(index)
            (address, node) = try child(index, of: node)
        }
        try check(node, address, claimed)
        let index = node.lowerBound(name)
        guard index < node.count, node.name(index).elementsEqual(name) else { return nil }
        return (try add(before, UInt32(index), address), node.entry(index))
    }

    /// The entry at a position; `nil` past the end.
    func entry(_ ordinal: UInt32, in root: ObjectAddress) throws(DFSError) -> TreeEntry? {
        try leaf(holding: ordinal, in: root).map { $0.node.entry($0.index) }
    }

    /// Calls `body` with the entries from position `ordinal` on, until it returns `false`.
    func forEach(
        in root: ObjectAddress, from ordinal: UInt32, _ body: (UInt32, TreeEntry) throws(DFSError) -> Bool
    ) throws(DFSError) {
        var ordinal = ordinal
        while let (node, index) = try leaf(holding: ordinal, in: root) {
            for i in index..<node.count {
                guard try body(ordinal, node.entry(i)) else { return }
                ordinal = try add(ordinal, 1, root)
            }
        }
    }

    private func leaf(
        holding ordinal: UInt32, in root: ObjectAddress
    ) throws(DFSError) -> (node: TreeNode, index: Int)? {
        var address = root
        var node = try content.node(address)
        var rest = ordinal
        var claimed: UInt32?
        while node.level > 0 {
            var index = 0
            while index < node.count, rest >= node.entriesBelow(index) {
                rest -= node.entriesBelow(index)
                index += 1
            }
            guard index < node.count else { return nil }
            claimed = node.entriesBelow(index)
            (address, node) = try child(index, of: node)
        }
        try check(node, address, claimed)
        guard rest < node.count else { return nil }
        return (node, Int(rest))
    }

    private func child(_ index: Int, of node: TreeNode) throws(DFSError) -> (ObjectAddress, TreeNode) {
        let address = node.child(index).address
        let child = try content.node(address)
        guard child.level < node.level else { throw Self.mismatch(address, "its level is not below its parent's") }
        return (address, child)
    }

    private func check(_ leaf: TreeNode, _ address: ObjectAddress, _ claimed: UInt32?) throws(DFSError) {
        guard let claimed, leaf.count != Int(claimed) else { return }
        throw Self.mismatch(address, "\(leaf.count) entries where \(claimed) were announced")
    }

    private func add(_ a: UInt32, _ b: UInt32, _ address: ObjectAddress) throws(DFSError) -> UInt32 {
        let sum = a.addingReportingOverflow(b)
        guard !sum.overflow, sum.partialValue <= NodeID.maximumOrdinal else {
            throw Self.mismatch(address, "too many entries")
        }
        return sum.partialValue
    }
}

extension TreeNode {
    /// Entries below item `index` of an inner node, read in place: a lookup adds up some hundred of them.
    /// (FORMAT.md §4.2: 56 bytes stand before the name, the count in bytes 4 to 7 of them.)
    func entriesBelow(_ index: Int) -> UInt32 {
        let start = name(index).startIndex - 52
        return UInt32(bytes[start]) | UInt32(bytes[start + 1]) << 8 | UInt32(bytes[start + 2]) << 16
            | UInt32(bytes[start + 3]) << 24
    }
}
