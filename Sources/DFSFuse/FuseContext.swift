import CFuse3
import DFSModel
import DFSVirtual
import Glibc
import Synchronization

/// Where requests come from; set before the first, by whoever mounts.
final class ConnectionDescriptor: Sendable {
    let raw = Atomic<Int32>(-1)
}

/// What all requests of one mount share. Immutable but for what INIT and the first request settle.
final class FuseContext: Sendable {
    let tree: VirtualTree
    let transport: FuseTransport
    let log: @Sendable (String) -> Void
    let buffers = BufferPool()
    /// Who owns everything: the mounting user. (A job in a user namespace could not remove a name whose owner has
    /// no mapping there.)
    let uid = geteuid(), gid = getegid()
    /// Whether open and opendir may be answered with ENOSYS, after which the kernel never asks again.
    let offersStateless = Atomic<Bool>(true), statelessDirectories = Atomic<Bool>(true)
    let connection = ConnectionDescriptor()
    let backing: BackingFiles
    let neighbours: Neighbours
    private let device: BackingFiles.Device
    private let settled = Mutex<ServeMode?>(nil)
    /// Called once, when the kernel has taken INIT's answer.
    private let whenReady: @Sendable () -> Void
    private let isReady = Atomic<Bool>(false)

    init(
        tree: VirtualTree, transport: FuseTransport, slots: BackingSlots? = nil,
        log: @escaping @Sendable (String) -> Void,
        whenReady: @escaping @Sendable () -> Void
    ) {
        self.tree = tree
        self.transport = transport
        self.log = log
        self.whenReady = whenReady
        neighbours = Neighbours(tree: tree)
        device = BackingFiles.Device(connection)
        backing = BackingFiles(
            device: device, journal: Self.journal(slots),
            refused: { [statistics = tree.statistics] code in
                // A file system that lies on others, such as an overlay, is not taken.
                let note = "; some files are read through the server: \(String(cString: strerror(code)))"
                var serving = statistics.serving
                guard !serving.why.hasSuffix(note) else { return }
                serving.why += note
                statistics.serving = serving
            })
        if let slots { backing.restore(slots.inherited) }
    }

    private static func journal(_ slots: BackingSlots?) -> (@Sendable (BackingFiles.Standing) -> Void)? {
        guard let slots else { return nil }
        return { slots.note($0) }
    }

    /// How files are served: as was chosen, or what the kernel allows. The same from the first request on.
    var mode: ServeMode {
        settled.withLock { settled in
            if let settled { return settled }
            let serving = settle()
            tree.statistics.serving = serving
            settled = serving.mode
            return serving.mode
        }
    }

    private func settle() -> Serving {
        var serving = tree.statistics.serving
        if serving.mode == .passthrough {
            let obstacle =
                transport.granted.contains(.passthrough) ? device.obstacle() : "this kernel has none (Linux 6.9 has)"
            if let obstacle { serving = serving.withoutPassthrough(obstacle) }
        }
        if serving.mode == .stateless, !offersStateless.load(ordering: .relaxed) {
            serving.mode = .plain
            serving.why += "; this kernel asks at every open"
        }
        return serving
    }

    static func of(_ request: fuse_req_t) -> FuseContext? {
        fuse_req_userdata(request).map { Unmanaged<FuseContext>.fromOpaque($0).takeUnretainedValue() }
    }

    func count(_ operation: ServingStatistics.Operation, _ id: NodeID) {
        tree.statistics.count(id.isControl ? .control : operation)
        if !isReady.load(ordering: .relaxed), !isReady.exchange(true, ordering: .relaxed) { whenReady() }
    }

    func status(_ attributes: Attributes) -> stat {
        var status = stat()
        status.st_ino = UInt(attributes.inode)
        let kind: mode_t =
            switch attributes.kind {
            case .file: S_IFREG
            case .directory: S_IFDIR
            case .symlink: S_IFLNK
            }
        status.st_mode = kind | mode_t(attributes.mode)
        status.st_nlink = attributes.kind == .directory ? 2 : 1
        status.st_uid = uid
        status.st_gid = gid
        let size = Int(clamping: attributes.size)
        status.st_size = size
        status.st_blksize = 128 << 10
        // Of whole blocks, as in a sealed view.
        status.st_blocks = size / 4096 * 8 + (size % 4096 == 0 ? 0 : 8)
        let time = timespec(tv_sec: Int(attributes.modified.seconds), tv_nsec: Int(attributes.modified.nanoseconds))
        status.st_mtim = time
        status.st_atim = time
        status.st_ctim = time
        return status
    }

    func entry(_ attributes: Attributes, _ lifetime: Lifetime) -> fuse_entry_param {
        var entry = fuse_entry_param()
        entry.ino = attributes.id.raw
        entry.attr = status(attributes)
        entry.attr_timeout = attributes.lifetime.seconds
        entry.entry_timeout = lifetime.seconds
        return entry
    }
}

extension Lifetime {
    /// How long the kernel keeps an answer. Watched ones are invalidated when history grows; the hour bounds what a
    /// lost notice can do.
    var seconds: Double {
        switch self {
        case .immutable: 86400
        case .watched: 3600
        case .brief: 1
        case .none: 0
        }
    }
}

/// Buffers for answers, used again: fresh ones of this size would be mapped, cleared and unmapped each time.
final class BufferPool: Sendable {
    static let size = 1 << 20

    struct Buffer: @unchecked Sendable {
        let memory: UnsafeMutableRawBufferPointer
    }

    private let free = Mutex<[Buffer]>([])

    func take() -> Buffer {
        free.withLock { $0.popLast() }
            ?? Buffer(memory: .allocate(byteCount: Self.size, alignment: 4096))
    }

    func give(_ buffer: Buffer) {
        let kept = free.withLock { free in
            if free.count < 8 { free.append(buffer) } else { return false }
            return true
        }
        if !kept { buffer.memory.deallocate() }
    }

    deinit { free.withLock { free in for buffer in free { buffer.memory.deallocate() } } }
}
