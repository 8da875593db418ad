import DFSModel
import DFSSystem
import Glibc

/// Where `LiveNodes` keeps its ids for a successor: a slot of 512 bytes for each, used again when the kernel has forgotten it,
/// so that the file is as large as there ever were ids at once. A slot lies in one page: it is written whole or not.
///
/// What cannot be written is lost to a successor, which answers ESTALE then. Used under the lock of `LiveNodes`.
struct LiveSlots: Sendable {
    private static let length = 512
    /// Of item (0: free), directory, inode, lookups, length of the name, name.
    private enum Layout { static let item = 0, directory = 4, inode = 8, lookups = 16, count = 24, name = 26 }

    private let file: OwnedDescriptor
    private var slots: [UInt32: Int] = [:]
    private var free: [Int] = []
    private var top = 0

    init(_ file: OwnedDescriptor) { self.file = file }

    /// Calls `body` with what a predecessor knew.
    mutating func restore(_ body: (_ item: UInt32, _ key: LiveNodes.Key, _ lookups: UInt64) -> Void) {
        guard let bytes = try? IdentityJournal.content(of: file) else { return }
        top = bytes.count / Self.length
        bytes.withUnsafeBytes { bytes in
            for slot in 0..<top {
                let record = UnsafeRawBufferPointer(rebasing: bytes[slot * Self.length..<(slot + 1) * Self.length])
                func get<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T {
                    record.loadUnaligned(fromByteOffset: offset, as: T.self)
                }
                let item = get(Layout.item, UInt32.self)
                guard item != 0 else {
                    free.append(slot)
                    continue
                }
                slots[item] = slot
                let count = min(Int(get(Layout.count, UInt16.self)), 255)
                body(
                    item,
                    LiveNodes.Key(
                        directory: get(Layout.directory, UInt32.self),
                        name: Array(record[Layout.name..<Layout.name + count]), inode: get(Layout.inode, UInt64.self)),
                    get(Layout.lookups, UInt64.self))
            }
        }
    }

    mutating func set(_ item: UInt32, _ key: LiveNodes.Key, lookups: UInt64) {
        if let slot = slots[item] {
            withUnsafeBytes(of: lookups) { write($0, at: slot * Self.length + Layout.lookups) }
            return
        }
        let slot = free.popLast() ?? top
        top = max(top, slot + 1)
        slots[item] = slot
        withUnsafeTemporaryAllocation(byteCount: Self.length, alignment: 8) { record in
            record.initializeMemory(as: UInt8.self, repeating: 0)
            record.storeBytes(of: item, toByteOffset: Layout.item, as: UInt32.self)
            record.storeBytes(of: key.directory, toByteOffset: Layout.directory, as: UInt32.self)
            record.storeBytes(of: key.inode, toByteOffset: Layout.inode, as: UInt64.self)
            record.storeBytes(of: lookups, toByteOffset: Layout.lookups, as: UInt64.self)
            let name = key.name.prefix(255)
            record.storeBytes(of: UInt16(name.count), toByteOffset: Layout.count, as: UInt16.self)
            for (i, byte) in name.enumerated() { record[Layout.name + i] = byte }
            write(UnsafeRawBufferPointer(record), at: slot * Self.length)
        }
    }

    mutating func remove(_ item: UInt32) {
        guard let slot = slots.removeValue(forKey: item) else { return }
        withUnsafeBytes(of: UInt32(0)) { write($0, at: slot * Self.length + Layout.item) }
        free.append(slot)
    }

    private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        _ = pwrite(file.raw, bytes.baseAddress, bytes.count, off_t(offset))
    }
}
