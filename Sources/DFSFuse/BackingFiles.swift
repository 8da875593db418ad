import CFuse3
import DFSSystem
import DFSVirtual
import Glibc
import Synchronization

/// Which open files the kernel reads from a backing file.
///
/// The kernel wants all opens of one inode to agree: the same backing file for each, or none for any. So what was chosen at
/// the first open of an inode stays until the last of them is released, and an inode has one backing id as long.
final class BackingFiles: Sendable {
    /// What stands for one inode; with `opens == 0` it has ended. A successor of this process needs to know all of them.
    struct Standing: Sendable, Equatable {
        var node: UInt64
        var opens: Int
        /// `nil`: read through the server.
        var backing: Backing?
    }

    struct Backing: Sendable, Equatable {
        var id: Int32
        var path: String
    }

    /// The kernel's side.
    struct Device: Sendable {
        /// Makes a descriptor's file known; the id, or a negated errno.
        var register: @Sendable (_ descriptor: Int32) -> Int32
        var release: @Sendable (_ id: Int32) -> Void
    }

    private struct Entry: Sendable {
        var opens = 0
        var backing: Backing?
        var file: BackingFile?
    }

    private let device: Device
    /// Told of each change, while the inode's part of the table is held: in order for each inode.
    private let journal: (@Sendable (Standing) -> Void)?
    private let refused: @Sendable (Int32) -> Void
    /// By inode, so that finding a file for one does not hold up the others.
    private let parts = (0..<32).map { _ in Part() }

    private final class Part: Sendable {
        let entries = Mutex<[UInt64: Entry]>([:])
    }

    /// `refused` gets the errno when the kernel does not take a file.
    init(
        device: Device, journal: (@Sendable (Standing) -> Void)? = nil,
        refused: @escaping @Sendable (Int32) -> Void = { _ in }
    ) {
        self.device = device
        self.journal = journal
        self.refused = refused
    }

    private func part(_ node: UInt64) -> Part { parts[Int(truncatingIfNeeded: (node ^ node >> 32) % 32)] }

    /// One more open of an inode: the backing id to answer with; `nil`, it is read through the server. `find` is asked when it
    /// is the first.
    func open(_ node: UInt64, _ find: () -> BackingFile?) -> Int32? {
        part(node).entries.withLock { entries in
            var entry = entries[node] ?? first(find)
            entry.opens += 1
            entries[node] = entry
            tell(node, entry)
            return entry.backing?.id
        }
    }

    private func first(_ find: () -> BackingFile?) -> Entry {
        guard let file = find() else { return Entry() }
        let id = device.register(file.descriptor.raw)
        guard id > 0 else {
            refused(-id)
            return Entry()
        }
        return Entry(backing: Backing(id: id, path: file.path), file: file)
    }

    /// One open less. The kernel lets go of an inode before it says so.
    func release(_ node: UInt64) {
        part(node).entries.withLock { entries in
            guard var entry = entries[node] else { return }
            entry.opens -= 1
            tell(node, entry)
            guard entry.opens <= 0 else {
                entries[node] = entry
                return
            }
            entries[node] = nil
            if let backing = entry.backing { device.release(backing.id) }
        }
    }

    private func tell(_ node: UInt64, _ entry: Entry) {
        journal?(Standing(node: node, opens: entry.opens, backing: entry.backing))
    }

    // MARK: Successors

    /// Takes over what a predecessor on the same connection had open.
    func restore(_ standing: [Standing]) {
        for one in standing where one.opens > 0 {
            part(one.node).entries.withLock { $0[one.node] = Entry(opens: one.opens, backing: one.backing) }
        }
    }

    /// All that is open.
    var standing: [Standing] {
        parts.flatMap { part in
            part.entries.withLock { entries in
                entries.map { Standing(node: $0.key, opens: $0.value.opens, backing: $0.value.backing) }
            }
        }
    }
}

extension BackingFiles.Device {
    /// Of a connection. Numbers are those of the kernel's ABI (linux/fuse.h, Linux 6.9).
    init(_ connection: ConnectionDescriptor) {
        register = { descriptor in
            // struct fuse_backing_map: the descriptor, flags, padding.
            var map: (Int32, UInt32, UInt64) = (descriptor, 0, 0)
            let id = cfuse3_ioctl(connection.raw.load(ordering: .relaxed), 0x4010_e501, &map)
            return id < 0 ? -errno : id
        }
        release = { id in
            var id = UInt32(bitPattern: id)
            _ = cfuse3_ioctl(connection.raw.load(ordering: .relaxed), 0x4004_e502, &id)
        }
    }

    /// Why this process may not give the kernel files to read; `nil` when it may.
    func obstacle() -> String? {
        // No descriptor: the kernel looks at the privilege first.
        switch -register(-1) {
        case EBADF: nil
        case EPERM: "it needs CAP_SYS_ADMIN"
        case ENOTTY, EINVAL: "this kernel has none (Linux 6.9 has)"
        case let code: String(cString: strerror(code))
        }
    }
}
