import CFuse3
import DFSModel
import DFSSystem
import DFSVirtual
import Glibc
import Synchronization

/// A mount of a virtual tree: `mount()`, then `serve()` on a thread that has nothing else to do, until somebody
/// unmounts it or `stop()` is called.
///
/// `serve()` starts threads: a process that wants to go to the background forks before that.
package final class FuseServer: Sendable {
    private struct Session: @unchecked Sendable {
        var pointer: OpaquePointer
        var context: Unmanaged<FuseContext>
    }

    private enum Phase: Sendable {
        case created
        case mounted(Session)
        case serving(Session, loop: pthread_t)
        case ended
    }

    private struct State: Sendable {
        var phase = Phase.created
        var stopRequested = false
    }

    package let options: MountOptions
    /// The absolute path without symlinks.
    package let mountpoint: String
    package let tree: VirtualTree
    private let log: @Sendable (String) -> Void
    /// Guards the session: its pointer is used by another thread only under this lock and while it is mounted or serving.
    private let state = Mutex(State())
    private let connection = Mutex<UInt32?>(nil)
    private let inheritance: Inheritance?
    private let transport: FuseTransport

    /// Checks that `options.mountpoint` can be mounted on. `log` gets the text of errors that a reader of the mount
    /// would see as EIO; it is called on libfuse's threads.
    /// What is mounted already is served with an `inheritance`.
    package init(
        tree: VirtualTree, options: MountOptions, inheritance: Inheritance? = nil,
        log: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(DFSError) {
        self.tree = tree
        self.options = options
        self.inheritance = inheritance
        self.log = log
        mountpoint = try inheritance == nil ? Mounting.check(options) : MountTable.canonical(options.mountpoint)
        var wanted: FuseTransport.Extensions = [.requestTimeout]
        if options.resends { wanted.insert(.resend) }
        if options.serving.mode == .passthrough { wanted.insert(.passthrough) }
        transport = FuseTransport(
            wanted: wanted, requestTimeout: Self.requestTimeout, handshake: inheritance?.handshake)
    }

    /// Seconds after which the kernel gives up a connection of which a request is not answered, within fifteen more. The
    /// last resort: where there is a supervisor, it has acted before.
    private static let requestTimeout: UInt16 = 20

    /// Nanoseconds that the oldest request has been worked on, and the oldest of those that a predecessor had taken.
    package var oldestRequests: (any: UInt64, resent: UInt64) { transport.clock.oldest() }

    /// The minor device number of the mount, once mounted.
    package var connectionNumber: UInt32? { connection.withLock { $0 } }

    /// Mounts. Programs that look at the mount wait until `serve` runs.
    package func mount() throws(DFSError) {
        cfuse3_prepare_wake()
        FuseLog.send(to: log)
        let path = mountpoint, readAhead = options.readAhead
        tree.statistics.serving = options.serving
        let slots = try (inheritance?.backing).map { file throws(DFSError) in try BackingSlots(file) }
        let context = FuseContext(
            tree: tree, transport: transport, slots: slots, log: log,
            whenReady: { ReadAhead.raise(mountpoint: path, kibibytes: readAhead) })
        let retained = Unmanaged.passRetained(context)
        guard let session = Self.makeSession(retained.toOpaque()) else {
            retained.release()
            throw DFSError(.cannotServe, "libfuse cannot make a session")
        }
        do throws(DFSError) {
            let descriptor: OwnedDescriptor
            if let inheritance {
                descriptor = inheritance.connection
            } else {
                descriptor = try Mounting.mount(options, on: path)
            }
            let number = inheritance?.number ?? (try? MountTable.mount(at: path))?.connection
            connection.withLock { $0 = number }
            // libfuse closes its descriptor itself, and this one goes away here.
            let copy = try System.call("cannot duplicate a descriptor") {
                fcntl(descriptor.raw, F_DUPFD_CLOEXEC, 0)
            }
            context.connection.raw.store(copy, ordering: .relaxed)
            do throws(DFSError) { try FuseTransport.attach(session, copy) } catch {
                close(copy)
                throw error
            }
            try inheritance?.takeUp(session, transport)
        } catch {
            fuse_session_destroy(session)
            retained.release()
            throw error
        }
        state.withLock { $0.phase = .mounted(Session(pointer: session, context: retained)) }
    }

    private static func makeSession(_ context: UnsafeMutableRawPointer) -> OpaquePointer? {
        var table = FuseOperations.table()
        return withCName(Array("dfs".utf8)) { name in
            var arguments: [UnsafeMutablePointer<CChar>?] = [UnsafeMutablePointer(mutating: name), nil]
            return arguments.withUnsafeMutableBufferPointer { buffer in
                var list = fuse_args(argc: 1, argv: buffer.baseAddress, allocated: 0)
                return fuse_session_new(&list, &table, MemoryLayout<fuse_lowlevel_ops>.size, context)
            }
        }
    }

    /// Answers requests until the mount is gone or `stop` was called; cleans up. Only after `mount`, once.
    package func serve() {
        let session: Session? = state.withLock { state in
            guard case .mounted(let session) = state.phase else { return nil }
            state.phase = .serving(session, loop: pthread_self())
            return session
        }
        guard let session else { return }
        let watch = startWatching(session)
        let neighbours = session.context.takeUnretainedValue().neighbours
        neighbours.start(session.pointer)
        let stopped = state.withLock { $0.stopRequested }
        if !stopped {
            _ = cfuse3_session_loop_mt(
                session.pointer, UInt32(max(1, options.threads)), UInt32(max(1, options.threads)))
        }
        neighbours.stop { abortConnection() }
        watch?.cancel()
        // From here on nobody else uses the session.
        let isToEnd = state.withLock { state in
            state.phase = .ended
            return state.stopRequested
        }
        // A connection that broke is the supervisor's to replace.
        if inheritance == nil || isToEnd { detach() }
        Self.destroy(session)
    }

    /// Lets all go that wait for an answer.
    private func abortConnection() {
        guard let number = connectionNumber else { return }
        MountTable.abort(connection: number)
    }

    private static func destroy(_ session: Session) {
        fuse_session_destroy(session.pointer)
        session.context.release()
    }

    /// Ends serving and unmounts, from any thread (not from a signal handler); returns when `serve` is ending.
    /// Programs that still use the mount get errors.
    package func stop() {
        state.withLock { $0.stopRequested = true }
        detach()
        let unserved: Session? = state.withLock { state in
            guard case .mounted(let session) = state.phase else { return nil }
            state.phase = .ended
            return session
        }
        if let unserved { Self.destroy(unserved) }
        while true {
            let isServing = state.withLock { state in
                guard case .serving(let session, let loop) = state.phase else { return false }
                cfuse3_session_wake(session.pointer, loop)
                return true
            }
            guard isServing else { return }
            usleep(10_000)
        }
    }

    /// Takes the mount out of sight, if what stands at the mountpoint is it.
    private func detach() {
        guard let number = connectionNumber,
            let mount = (try? MountTable.mounts())?.last(where: { $0.mountpoint == mountpoint }),
            mount.connection == number
        else { return }
        do throws(DFSError) {
            try MountTable.unmount(mountpoint, lazy: true)
        } catch {
            log(error.description)
        }
    }

    /// Tells the kernel every second what it must not believe any longer.
    private func startWatching(_ session: Session) -> Ticker? {
        Ticker.start(milliseconds: 1000) { [tree, log] in
            do throws(DFSError) {
                for id in try tree.changedDirectories() {
                    // A negative offset: attributes only. ENOENT (not known to the kernel) is no error.
                    fuse_lowlevel_notify_inval_inode(session.pointer, id.raw, -1, 0)
                }
            } catch {
                log(error.description)
            }
        }
    }
}
