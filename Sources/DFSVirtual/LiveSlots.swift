import DFSSystem

/// Where `LiveNodes` keeps its ids for a successor. Used under the lock of `LiveNodes`.
struct LiveSlots: Sendable {
    /// Of lookups, inode, directory; then the name.
    private enum Layout { static let lookups = 0, inode = 8, directory = 16, name = 20 }

    private var file: SlotFile

    init(_ file: OwnedDescriptor) { self.file = SlotFile(file) }

    /// Calls `body` with what a predecessor knew.
    mutating func restore(_ body: (_ item: UInt32, _ key: LiveNodes.Key, _ lookups: UInt64) -> Void) {
        file.restore { item, bytes in
            guard bytes.count >= Layout.name else { return }
            func get<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T {
                bytes.loadUnaligned(fromByteOffset: offset, as: T.self)
            }
            let key = LiveNodes.Key(
                directory: get(Layout.directory, UInt32.self), name: Array(bytes[Layout.name...]),
                inode: get(Layout.inode, UInt64.self))
            body(UInt32(truncatingIfNeeded: item), key, get(Layout.lookups, UInt64.self))
        }
    }

    mutating func set(_ item: UInt32, _ key: LiveNodes.Key, lookups: UInt64) {
        withUnsafeTemporaryAllocation(byteCount: Layout.name + key.name.count, alignment: 8) { bytes in
            bytes.storeBytes(of: lookups, toByteOffset: Layout.lookups, as: UInt64.self)
            bytes.storeBytes(of: key.inode, toByteOffset: Layout.inode, as: UInt64.self)
            bytes.storeBytes(of: key.directory, toByteOffset: Layout.directory, as: UInt32.self)
            for (i, byte) in key.name.enumerated() { bytes[Layout.name + i] = byte }
            file.set(UInt64(item), UnsafeRawBufferPointer(bytes))
        }
    }

    mutating func remove(_ item: UInt32) { file.remove(UInt64(item)) }
}
