import DFSModel
import DFSStore

package enum NodeKind: Sendable { case file, directory, symlink }

/// How long an answer may be believed without asking again.
package enum Lifetime: Sendable {
    /// Under an immutable id.
    case immutable
    /// Changes only when history grows; whoever keeps it is told (`VirtualTree.changedDirectories`).
    case watched
    /// May change within a second.
    case brief
    /// What a live run writes.
    case none
}

/// What stat(2) shows of a node.
package struct Attributes: Sendable, Equatable {
    package var id: NodeID
    /// st_ino.
    package var inode: UInt64
    package var kind: NodeKind
    /// The nine permission bits.
    package var mode: UInt16
    package var size: UInt64
    package var modified: Timestamp
    package var lifetime: Lifetime

    static func directory(_ id: NodeID, mode: UInt16 = 0o555, modified: Timestamp, lifetime: Lifetime) -> Attributes {
        Attributes(
            id: id, inode: id.raw, kind: .directory, mode: mode, size: 4096, modified: modified, lifetime: lifetime)
    }

    static func link(_ id: NodeID, target: [UInt8], modified: Timestamp) -> Attributes {
        Attributes(
            id: id, inode: id.raw, kind: .symlink, mode: 0o777, size: UInt64(target.count), modified: modified,
            lifetime: .immutable)
    }

    static func file(_ id: NodeID, size: UInt64, modified: Timestamp, lifetime: Lifetime) -> Attributes {
        Attributes(
            id: id, inode: id.raw, kind: .file, mode: 0o444, size: size, modified: modified, lifetime: lifetime)
    }

    static func content(_ entry: TreeEntry, id: NodeID, lifetime: Lifetime = .immutable) -> Attributes {
        let kind: NodeKind =
            switch entry.kind {
            case .file: .file
            case .directory: .directory
            case .symlink: .symlink
            }
        return Attributes(
            id: id, inode: id.raw, kind: kind, mode: kind == .symlink ? 0o777 : entry.mode & 0o777,
            size: kind == .directory ? 4096 : entry.size, modified: entry.modified, lifetime: lifetime)
    }
}

/// What a name in a directory stands for.
package enum LookupResult: Sendable {
    /// `lifetime` is that of the name; the attributes have their own.
    case found(Attributes, lifetime: Lifetime)
    case absent(lifetime: Lifetime)
}

/// One entry of a listing.
package struct Listed: Sendable {
    package var name: [UInt8]
    package var attributes: Attributes
    /// The lifetime of the name.
    package var lifetime: Lifetime
    /// Position after this entry.
    package var next: UInt64
    /// Whether the attributes may be taken for a lookup's. Not so for `.`, `..` and names of live runs, where only
    /// kind and inode number are right, nor for files that are denied.
    package var isComplete: Bool
}
