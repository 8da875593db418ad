import CFuse3
import DFSModel
import DFSSystem
import DFSVirtual
import Glibc

/// One pending request of the kernel. Answered exactly once: answering consumes it, and one that is dropped
/// answers EIO.
struct FuseReply: ~Copyable {
    private let request: fuse_req_t
    private let unmanaged: Unmanaged<FuseContext>
    private let operation: ServingStatistics.Operation
    private let start = Clock.monotonic()

    /// Lives as long as the session.
    private var context: FuseContext { unmanaged.takeUnretainedValue() }

    init(_ request: fuse_req_t, _ context: FuseContext, _ operation: ServingStatistics.Operation, _ id: NodeID) {
        self.request = request
        self.operation = id.isControl ? .control : operation
        unmanaged = Unmanaged.passUnretained(context)
    }

    deinit {
        context.tree.statistics.countError()
        fuse_reply_err(request, EIO)
    }

    consuming func fail(_ code: Int32) {
        fuse_reply_err(request, code)
        discardWithoutAnswer()
    }

    consuming func fail(_ error: DFSError) {
        let code = error.kernelErrno
        if error.isTrouble {
            context.tree.statistics.countError()
            context.log(error.description)
        }
        fail(code)
    }

    consuming func send(_ answer: FuseAnswer) {
        switch answer {
        case .attributes(let attributes):
            var status = context.status(attributes)
            fuse_reply_attr(request, &status, attributes.lifetime.seconds)
        case .found(let attributes, let lifetime):
            var entry = context.entry(attributes, lifetime)
            // The kernel did not take the answer (the caller was interrupted): it will not forget it either.
            if fuse_reply_entry(request, &entry) != 0 { context.tree.forget(attributes.id, lookups: 1) }
        case .absent(let lifetime): sendAbsent(lifetime)
        case .target(let target): _ = withCName(target) { fuse_reply_readlink(request, $0) }
        case .attribute(let value, let room): sendAttribute(value, room)
        case .capacity(var capacity): fuse_reply_statfs(request, &capacity)
        case .failed(let code): fuse_reply_err(request, code)
        }
        discardWithoutAnswer()
    }

    consuming func data(_ bytes: UnsafeRawBufferPointer) {
        fuse_reply_buf(request, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
        discardWithoutAnswer()
    }

    /// Whether the kernel took the answer; else there will be no release.
    consuming func opened(_ file: UnsafeMutablePointer<fuse_file_info>) -> Bool {
        let result = fuse_reply_open(request, file)
        discardWithoutAnswer()
        return result == 0
    }

    /// As `opened`, of a file that the kernel reads from a backing file. libfuse 3.14 cannot say so: what is sent is struct
    /// fuse_open_out of the kernel's ABI, with FOPEN_NOFLUSH and FOPEN_PASSTHROUGH, which goes with no other flag.
    consuming func opened(backing id: Int32) -> Bool {
        let answer: (UInt64, UInt32, Int32) = (0, 1 << 5 | 1 << 7, id)
        let result = withUnsafeBytes(of: answer) {
            fuse_reply_buf(request, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
        }
        discardWithoutAnswer()
        return result == 0
    }

    /// The answer that lets the kernel remember that a name is not there; ENOENT when it may not.
    private borrowing func sendAbsent(_ lifetime: Lifetime) {
        guard lifetime.seconds > 0 else {
            fuse_reply_err(request, ENOENT)
            return
        }
        var entry = fuse_entry_param()
        entry.entry_timeout = lifetime.seconds
        fuse_reply_entry(request, &entry)
    }

    /// getxattr(2) and listxattr(2): with no room, how much is needed.
    private borrowing func sendAttribute(_ value: [UInt8], _ room: Int) {
        if room == 0 {
            fuse_reply_xattr(request, value.count)
        } else if room < value.count {
            fuse_reply_err(request, ERANGE)
        } else {
            _ = value.withUnsafeBytes {
                fuse_reply_buf(request, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
            }
        }
    }

    private consuming func discardWithoutAnswer() {
        context.tree.statistics.time(operation, since: start)
        discard self
    }
}

/// What a request is answered with, apart from bytes of files and directories.
enum FuseAnswer {
    case attributes(Attributes)
    case found(Attributes, Lifetime)
    case absent(Lifetime)
    case target([UInt8])
    /// The value, and the room that the caller has.
    case attribute([UInt8], Int)
    case capacity(statvfs)
    case failed(Int32)
}
