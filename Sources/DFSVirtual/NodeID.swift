/// Names a file, directory or symlink within one mount: the number of a directory and an item in it.
///
/// A file's id says where it is, so nothing is kept per file and forgetting is free.
///
/// Items: 0 the directory itself · in trees: position in the directory + 1 · in directories that the virtual tree
/// makes up: documents from 1, symlinks from `firstLink` · in directories of live runs: from `firstLive`.
package struct NodeID: Hashable, Sendable {
    package let raw: UInt64

    package init(raw: UInt64) { self.raw = raw }

    /// The kernel insists on 1 for the root.
    package static let root = NodeID(raw: 1)
    static let rootNumber: UInt32 = 1
    static let controlNumber: UInt32 = 2
    static let firstLink: UInt32 = 0x4000_0000
    static let firstLive: UInt32 = 0x8000_0000
    /// Positions in a directory that an id can hold.
    static let maximumOrdinal: UInt32 = 0x7fff_fffe

    init(directory number: UInt32) {
        raw = number == Self.rootNumber ? 1 : UInt64(number) << 32
    }

    init(directory number: UInt32, item: UInt32) {
        raw = UInt64(number) << 32 | UInt64(item)
    }

    /// Whether it is `.dfs` or in it.
    package var isControl: Bool { directory == Self.controlNumber }

    var directory: UInt32 { raw == 1 ? Self.rootNumber : UInt32(raw >> 32) }
    var item: UInt32 { raw == 1 ? 0 : UInt32(truncatingIfNeeded: raw) }
}
