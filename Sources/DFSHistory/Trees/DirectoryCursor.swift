import DFSModel
import DFSStore
import DFSSystem

/// A place in the nodes of one directory that moves in order of names, into nodes or past them unread.
///
/// Where nodes are cut depends on names only, so two versions of a directory share the nodes in which nothing changed:
/// whoever compares two cursors reads what differs and the way to it.
struct DirectoryCursor {
    private let reader: TreeReader
    /// From the root node down; the last is where the cursor stands.
    private var path: [(node: TreeNode, index: Int)]

    /// Stands on the first item of the root node of `directory`; anything else has no items.
    init(_ directory: TreeEntry, reader: TreeReader) throws(DFSError) {
        self.reader = reader
        path = []
        guard directory.kind == .directory, let address = directory.address else { return }
        path = [(try reader.node(address), 0)]
        settle()
    }

    var isAtEnd: Bool { path.isEmpty }

    /// The name of the entry, or the first below the node, on which the cursor stands. Not at the end.
    var name: ArraySlice<UInt8> { top.node.name(top.index) }

    /// 0: the cursor stands on an entry; otherwise on a node of the level below.
    var level: UInt8 { top.node.level }

    /// The entry on which the cursor stands.
    var entry: TreeEntry { top.node.entry(top.index) }

    /// Whether both stand on entries that are the same bytes.
    func standsOnSame(as other: DirectoryCursor) -> Bool {
        level == 0 && other.level == 0 && top.node.hasSame(top.index, as: other.top.node, other.top.index)
    }

    /// The node on which the cursor stands.
    var child: ObjectAddress { top.node.address(top.index) }

    private var top: (node: TreeNode, index: Int) { path[path.count - 1] }

    /// Goes past the entry, or past all that is below the node.
    mutating func advance() {
        path[path.count - 1].index += 1
        settle()
    }

    /// Goes to the first item of the node on which the cursor stands.
    mutating func descend() throws(DFSError) {
        let address = child
        let node = try reader.node(address)
        guard node.level == level - 1, node.count > 0, node.name(0) == name else {
            throw DFSError(.corrupt, "tree node \(address) does not fit the one above it", hint: "dfs verify")
        }
        path.append((node, 0))
    }

    private mutating func settle() {
        while let last = path.last, last.index == last.node.count {
            path.removeLast()
            if !path.isEmpty { path[path.count - 1].index += 1 }
        }
    }
}
