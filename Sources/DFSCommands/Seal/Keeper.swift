import CLinux
import DFSFuse
import DFSHistory
import DFSModel
import DFSRemote
import DFSSealedView
import DFSSystem
import Glibc

/// The process that takes a sealed view's file system away when nobody uses it any more: `dfs __keep REQUEST`. Until then it
/// keeps the image in the cache and, by a lease, what it shows in the store. If it dies, the mount stays and serves.
enum Keeper {
    struct Request {
        var store: String
        var mountpoint: String
        /// The image, as the mount table has it.
        var image: String
        /// The image's lock: whoever needs the image holds it.
        var lock: String
        var sequence: UInt64
        /// Seconds that an unused view stays mounted: the next one who wants it finds its pages cached.
        var linger: Int

        var json: JSONValue {
            [
                "store": .string(store), "mountpoint": .string(mountpoint), "image": .string(image),
                "lock": .string(lock), "sequence": .integer(Int64(clamping: sequence)),
                "linger": .integer(Int64(linger)),
            ]
        }

        init(store: String, mountpoint: String, image: String, lock: String, sequence: UInt64, linger: Int) {
            self.store = store
            self.mountpoint = mountpoint
            self.image = image
            self.lock = lock
            self.sequence = sequence
            self.linger = linger
        }

        init?(_ json: JSONValue) {
            guard let store = json["store"]?.string, let mountpoint = json["mountpoint"]?.string,
                let image = json["image"]?.string, let lock = json["lock"]?.string,
                let sequence = json["sequence"]?.integer.flatMap({ UInt64(exactly: $0) }),
                let linger = json["linger"]?.integer
            else { return nil }
            self.init(
                store: store, mountpoint: mountpoint, image: image, lock: lock, sequence: sequence,
                linger: Int(linger))
        }
    }

    /// Starts a keeper. Returns when it holds the image's lock and has a lease.
    static func start(_ request: Request) throws(DFSError) { try waitForAnswer(try startProcess(request)) }

    /// Returns where the keeper answers; only the keeper has the other end.
    private static func startProcess(_ request: Request) throws(DFSError) -> OwnedDescriptor {
        var ends: [Int32] = [-1, -1]
        try System.call("cannot make a pipe") { clinux_pipe(&ends) }
        let reading = OwnedDescriptor(adopting: ends[0]), writing = OwnedDescriptor(adopting: ends[1])
        _ = try ChildProcess.start(
            ServerProcess.executable, arguments: ["dfs", "__keep", request.json.canonicalText, "\(writing.raw)"],
            inherited: [writing])
        return reading
    }

    /// The keeper that the view at `base` has, or had.
    static func identity(_ base: String) throws(DFSError) -> ProcessIdentity? {
        guard let text = try Files.read(base + ".keeper", limit: 4096), let json = try? JSONValue.parse(text) else {
            return nil
        }
        return ProcessIdentity(json: json)
    }

    /// Has the keeper of the view at `base` end if nobody uses it, and waits a moment for that.
    static func look(_ base: String) throws(DFSError) {
        guard let keeper = try identity(base), try keeper.liveness() == .alive else { return }
        kill(keeper.pid, SIGTERM)
        for _ in 0..<100 {
            if try keeper.liveness() == .dead { return }
            usleep(10_000)
        }
    }

    /// Does what a keeper that was killed would have done: takes the file system at `base` away if nobody uses it.
    static func sweep(_ base: MountTable.Mount) throws(DFSError) {
        guard try identity(base.mountpoint)?.liveness() != .alive,
            try MountTable.mount(at: base.mountpoint)?.device == base.device
        else { return }
        let lock = try ViewLock(path: SealedMounts.useLock(base: base.mountpoint, image: base.fsname))
        let request = Request(
            store: "", mountpoint: base.mountpoint, image: base.fsname, lock: "", sequence: 0, linger: 0)
        if try !isUsed(request, lock) { try end(request) }
        withExtendedLifetime(lock) {}
    }

    private static func waitForAnswer(_ reading: OwnedDescriptor) throws(DFSError) {
        var poll = pollfd(fd: reading.raw, events: Int16(POLLIN), revents: 0)
        var byte: UInt8 = 0
        // One that ends without an answer leaves an end of file.
        guard Glibc.poll(&poll, 1, 10_000) == 1, read(reading.raw, &byte, 1) == 1 else {
            throw DFSError(.operational, "the keeper of a sealed view does not start", hint: "dfs mounts")
        }
    }

    static func run(arguments: [String]) -> Int32 {
        withCName(Array("dfs-keep".utf8)) { _ = clinux_prctl(15, UInt(bitPattern: $0)) }
        guard arguments.count == 2, let json = try? JSONValue.parse(arguments[0]), let request = Request(json),
            let answer = Int32(arguments[1])
        else { return ExitCode.usage.rawValue }
        do throws(DFSError) {
            try keep(request, OwnedDescriptor(adopting: answer))
            return 0
        } catch { return ExitCode(error.code).rawValue }
    }

    private static func keep(_ request: Request, _ answer: OwnedDescriptor) throws(DFSError) {
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&signals, signal) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        _ = chdir("/")
        let image = try ViewLock(path: request.lock)
        try image.take(.shared)
        defer { withExtendedLifetime(image) {} }
        let lock = try ViewLock(path: SealedMounts.useLock(base: request.mountpoint, image: request.image))
        try lock.take(.shared)
        let lease = Lease.take(
            DirectoryBackend(root: request.store), sequence: request.sequence, host: Serve.hostName())
        defer { lease?.end() }
        let own = try ProcessIdentity.own()
        let file = try DurableFile(temporaryDirectory: Files.parent(request.mountpoint), mode: 0o600)
        try file.append(own.json.canonicalBytes)
        try file.replace(request.mountpoint + ".keeper")
        try Files.write([0x2e], to: answer.raw, what: "the answer")
        var linger = request.linger
        var unusedSince: UInt64?
        // A second keeper takes the first one's place: each would see the view as used by the other.
        while try SealedMounts.isMounted(request.image, at: request.mountpoint),
            try identity(request.mountpoint) == own
        {
            lease?.touch()
            if try isUsed(request, lock) {
                unusedSince = nil
            } else {
                let since = unusedSince ?? Clock.monotonic()
                unusedSince = since
                if Clock.monotonic() - since >= UInt64(linger) * 1_000_000_000 { return try end(request) }
            }
            try lock.take(.shared)
            // Told to end, it does so as soon as nobody uses the view.
            var wait = timespec(tv_sec: unusedSince == nil ? 5 : 1, tv_nsec: 0)
            if sigtimedwait(&signals, nil, &wait) > 0 { linger = 0 }
        }
        // Somebody else unmounted it. What belongs to the place is left: it may be mounted again at this moment.
    }

    /// Whether somebody has bound the view or holds its lock. Where nobody does, this process has it alone afterwards.
    private static func isUsed(_ request: Request, _ lock: ViewLock) throws(DFSError) -> Bool {
        // The lock first: whoever holds it may bind the view and let go of it between two looks.
        guard lock.tryExclusive() else { return true }
        let mounts = try MountTable.mounts()
        guard let own = mounts.last(where: { $0.mountpoint == request.mountpoint }) else { return false }
        return mounts.contains { $0.device == own.device && $0.mountpoint != request.mountpoint }
    }

    /// Called while this process has the lock alone: whoever wants the view next waits for it and finds nothing mounted.
    private static func end(_ request: Request) throws(DFSError) {
        do throws(DFSError) { try MountTable.unmount(request.mountpoint) } catch {
            // A program has its working directory or a file there, which goes on working.
            guard error.errno == EBUSY else { throw error }
            try MountTable.unmount(request.mountpoint, lazy: true)
        }
        rmdir(request.mountpoint)
        for ending in ["mounting", "keeper"] { unlink(request.mountpoint + "." + ending) }
    }
}
