import DFSModel
import DFSSystem
import Glibc
import Synchronization

/// What `BackingFiles` has open, for a server that takes this one's place: a slot of 16 bytes for each inode in a file in
/// memory that a supervisor holds, used again when the inode is released.
///
/// A slot is written before the kernel is answered. A server that dies in between leaves an inode with one open too many: its
/// backing id stays until the mount ends.
final class BackingSlots: Sendable {
    private static let length = 16
    /// Of node (0: free), number of opens, backing id (0: none).
    private enum Layout { static let node = 0, opens = 8, id = 12 }

    private struct State: Sendable {
        var slots: [UInt64: Int] = [:]
        var free: [Int] = []
        var top = 0
    }

    private let file: OwnedDescriptor
    private let state: Mutex<State>
    /// What a predecessor had open.
    let inherited: [BackingFiles.Standing]

    init(_ file: OwnedDescriptor) throws(DFSError) {
        self.file = file
        let size = Int(try FileStatus.of(file).size)
        var bytes = [UInt8](repeating: 0, count: size)
        if size > 0 {
            try System.call("cannot read a file in memory") {
                bytes.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress, size, 0) }
            }
        }
        var state = State()
        var standing = [BackingFiles.Standing]()
        state.top = size / Self.length
        bytes.withUnsafeBytes { bytes in
            for slot in 0..<state.top {
                let node = bytes.loadUnaligned(fromByteOffset: slot * Self.length + Layout.node, as: UInt64.self)
                let opens = bytes.loadUnaligned(fromByteOffset: slot * Self.length + Layout.opens, as: UInt32.self)
                let id = bytes.loadUnaligned(fromByteOffset: slot * Self.length + Layout.id, as: Int32.self)
                guard node != 0, opens > 0 else {
                    state.free.append(slot)
                    continue
                }
                state.slots[node] = slot
                standing.append(
                    .init(node: node, opens: Int(opens), backing: id > 0 ? .init(id: id, path: "") : nil))
            }
        }
        inherited = standing
        self.state = Mutex(state)
    }

    func note(_ standing: BackingFiles.Standing) {
        state.withLock { state in
            if standing.opens <= 0 {
                guard let slot = state.slots.removeValue(forKey: standing.node) else { return }
                state.free.append(slot)
                return write(slot, node: 0, opens: 0, id: 0)
            }
            let slot: Int
            if let known = state.slots[standing.node] {
                slot = known
            } else {
                slot = state.free.popLast() ?? state.top
                state.top = max(state.top, slot + 1)
                state.slots[standing.node] = slot
            }
            write(slot, node: standing.node, opens: UInt32(clamping: standing.opens), id: standing.backing?.id ?? 0)
        }
    }

    private func write(_ slot: Int, node: UInt64, opens: UInt32, id: Int32) {
        var record: (UInt64, UInt32, Int32) = (node, opens, id)
        _ = pwrite(file.raw, &record, Self.length, off_t(slot * Self.length))
    }
}
