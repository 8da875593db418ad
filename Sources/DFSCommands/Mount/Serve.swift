import CLinux
import DFSFuse
import DFSHistory
import DFSLedger
import DFSModel
import DFSSystem
import DFSVirtual
import Dispatch
import Glibc

/// The process behind a mount: `dfs __serve REQUEST`. Serves until it is unmounted or told to end.
enum Serve {
    /// Memory for nodes and chunks; with the directory table and libfuse's buffers the process stays below 150 MiB.
    private static let cacheBytes = 48 << 20

    static func run(arguments: [String]) -> Int32 {
        // What ps shows; this program was started through /proc/self/exe.
        withCName(Array("dfs".utf8)) { _ = clinux_prctl(15, UInt(bitPattern: $0)) }
        guard let text = arguments.first, let json = try? JSONValue.parse(text), let request = ServeRequest(json) else {
            return ExitCode.usage.rawValue
        }
        do throws(DFSError) {
            try run(request) { message in log(message) }
            return 0
        } catch {
            answer(request.answer, error)
            log("cannot serve \(request.mountpoint): \(error.what)")
            return ExitCode(error.code).rawValue
        }
    }

    /// Serves until the mount ends; throws when it does not begin. `told` receives what happens.
    static func run(_ request: ServeRequest, told: @escaping @Sendable (String) -> Void) throws(DFSError) {
        // Blocked before any thread exists, so that only the one that waits for them gets them.
        let signals = blockSignals()
        if request.endsWithParent {
            _ = clinux_prctl(1, UInt(SIGTERM))
            if getppid() != request.parent { throw DFSError(.launcher, "the launcher has ended", hint: "dfs doctor") }
        }
        let (server, lease) = try start(request, told)
        keep(lease)
        watch(signals, server)
        let registry = request.registry.map { MountRegistry(directory: $0) }
        try? registry?.add(request, server.options.serving)
        answer(request.answer, nil, server.options.serving)
        told("serving \(request.store) on \(server.mountpoint)")
        server.serve()
        lease?.end()
        registry?.remove(request.mountpoint)
        // A launcher that was killed leaves this to its server.
        if request.endsWithParent { rmdir(request.mountpoint) }
        told("ended")
    }

    private static func start(
        _ request: ServeRequest, _ told: @escaping @Sendable (String) -> Void
    ) throws(DFSError) -> (FuseServer, Lease?) {
        guard chdir("/") == 0 else { throw System.error(errno, "cannot change to /") }
        let repository = try Repository.open(
            at: request.store, cacheRoot: request.cacheRoot, cacheBytes: cacheBytes)
        let state = try repository.state()
        let serving = ServingFacts(state).serving(request.serve)
        let local = serving.mode == .passthrough ? localFiles(repository, request, told) : nil
        let tree = VirtualTree(
            history: RepositoryHistory(repository), content: RepositoryContent(repository, local: local),
            options: VirtualTree.Options(
                version: Root.version, rootMode: request.allowOther ? try rootMode(request.store) : 0o555,
                capacityPath: request.store))
        let server = try FuseServer(
            tree: tree,
            options: MountOptions(
                mountpoint: request.mountpoint, fsname: "dfs:" + request.store, allowOther: request.allowOther,
                threads: request.threads, serving: serving), log: told)
        try server.mount()
        // What is shown from now on stays readable when it is removed.
        return (server, Lease.take(repository.backend, sequence: state.head.sequence, host: hostName()))
    }

    /// Where the kernel may read files by itself.
    private static func localFiles(
        _ repository: Repository, _ request: ServeRequest, _ told: @escaping @Sendable (String) -> Void
    ) -> LocalFiles {
        let hot = HotFiles(directory: repository.cacheDirectory, reader: repository.reader, limit: request.hotLimit)
        return LocalFiles(reader: repository.reader, hot: hot, told: told)
    }

    static func hostName() -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        gethostname(&buffer, 255)
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Looks every few minutes whether the lease is to be touched.
    private static func keep(_ lease: Lease?) {
        guard let lease else { return }
        DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(300)) {
            lease.touch()
            keep(lease)
        }
    }

    /// A mount that others may enter shows no more than the store's own directory would.
    private static func rootMode(_ store: String) throws(DFSError) -> UInt16 {
        guard let status = try FileStatus.of(path: store, following: true) else { return 0o500 }
        return rootMode(status, group: getegid())
    }

    /// Everything in the mount is of the server's group: what the store lets another group do is not for that one.
    static func rootMode(_ store: FileStatus, group: gid_t) -> UInt16 {
        store.mode & (store.gid == group ? 0o555 : 0o505)
    }

    private static func blockSignals() -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
        return set
    }

    private static func watch(_ signals: sigset_t, _ server: FuseServer) {
        DispatchQueue(label: "dfs.serve.signals").async {
            var set = signals
            var number: Int32 = 0
            sigwait(&set, &number)
            server.stop()
        }
    }

    private static func answer(_ descriptor: Int32, _ error: DFSError?, _ serving: Serving? = nil) {
        guard descriptor >= 0 else { return }
        let fd = OwnedDescriptor(adopting: descriptor)
        var members = [String: JSONValue]()
        if let serving { members = ["serve": .string(serving.mode.rawValue), "why": .string(serving.why)] }
        if let error {
            members["code"] = .string(error.code.rawValue)
            members["what"] = .string(error.what)
            if let cause = error.cause { members["cause"] = .string(cause) }
            if let hint = error.hint { members["hint"] = .string(hint) }
        }
        try? Files.write(JSONValue.object(members).canonicalBytes, to: fd.raw, what: "the answer")
    }

    private static func log(_ message: String) {
        let line = "\(Clock.now().short) [\(getpid())] \(message)\n"
        try? Files.write(Array(line.utf8), to: 2, what: "the log")
    }
}
