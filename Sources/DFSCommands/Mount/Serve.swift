import CLinux
import DFSFuse
import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore
import DFSSystem
import DFSVirtual
import Glibc
import Synchronization

/// The process behind a mount: `dfs __serve FD MOUNTPOINT`. Serves until it is unmounted or told to end.
enum Serve {
    /// Memory for nodes and chunks; with the directory table and libfuse's buffers the process stays below 150 MiB.
    private static let cacheBytes = 48 << 20

    static func run(arguments: [String]) -> Int32 {
        // What ps shows; this program was started through /proc/self/exe.
        withCName(Array("dfs".utf8)) { _ = clinux_prctl(15, UInt(bitPattern: $0)) }
        guard let request = ServeRequest(passedIn: arguments) else { return ExitCode.usage.rawValue }
        do throws(DFSError) {
            if request.isProbe {
                try probe(request)
            } else {
                try run(request) { message in log(message) }
            }
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
        if request.endsWithParent, request.inherited == nil {
            _ = clinux_prctl(1, UInt(SIGTERM))
            if getppid() != request.parent { throw DFSError(.launcher, "the launcher has ended", hint: "dfs doctor") }
        }
        let (server, lease) = try start(request, told)
        let ticker = lease.map { lease in Ticker.start(milliseconds: 300_000) { lease.touch() } } ?? nil
        defer { ticker?.cancel() }
        try watch(signals, server)
        let isAlone = Atomic<Bool>(request.inherited == nil)
        if let inherited = request.inherited {
            try obey(inherited, server) {
                isAlone.store(true, ordering: .relaxed)
                told("the supervisor is gone: nobody will replace this server when it dies")
                if request.endsWithParent { server.stop() }
            }
        }
        let registry = request.registry.map { MountRegistry(directory: $0) }
        try? registry?.add(request, server.options.serving)
        answer(request.answer, nil, server.options.serving)
        told("serving \(request.store) on \(server.mountpoint)")
        let noting = Self.note(server.tree)
        server.serve()
        noting?.cancel()
        server.tree.accesses?.write(server.tree, ending: true)
        lease?.end()
        // A supervisor may have another server start; what is noted is its business.
        if isAlone.load(ordering: .relaxed) {
            registry?.removeOwn(request.mountpoint)
            // A launcher that was killed leaves this to its server.
            if request.endsWithParent { rmdir(request.mountpoint) }
        }
        told("ended")
    }

    private static func start(
        _ request: ServeRequest, _ told: @escaping @Sendable (String) -> Void
    ) throws(DFSError) -> (FuseServer, Lease?) {
        guard chdir("/") == 0 else { throw System.error(errno, "cannot change to /") }
        let repository = try open(request)
        let state = try repository.state()
        let bytes = state.datasets.values.reduce(UInt64(0)) { $0 &+ ($1.latest?.tree.bytes ?? 0) }
        repository.objects.keepsNoPages.store(MemoryLimit.isTight(for: bytes), ordering: .relaxed)
        let legacy = try request.inherited.map { inherited throws(DFSError) in try Legacy(inherited) }
        let isSuccessor = legacy?.journal.last(.serving) != nil
        let serving = try serving(request, state, legacy?.journal)
        let local = serving.mode == .passthrough ? localFiles(repository, request, told) : nil
        var options = VirtualTree.Options(
            version: Root.version, rootMode: request.allowOther ? try rootMode(request.store) : 0o555,
            capacityPath: request.store)
        options.denials = request.denials
        let tree = VirtualTree(
            history: RepositoryHistory(repository), content: RepositoryContent(repository, local: local),
            options: options, journal: legacy?.journal, accesses: recorder(request, serving, isSuccessor))
        let server = try FuseServer(
            tree: tree, options: request.mountOptions(serving), inheritance: legacy?.inheritance, log: told)
        try server.mount()
        return (server, lease(repository, state.head.sequence, legacy?.journal))
    }

    /// What notes accesses, where somebody wants to know.
    private static func recorder(
        _ request: ServeRequest, _ serving: Serving, _ isSuccessor: Bool
    ) -> AccessRecorder? {
        request.accessLog.map { path in
            AccessRecorder(
                path: path, notesReads: request.notesReads,
                header: [
                    "monitor": "fuse", "mode": .string(serving.mode.rawValue), "reads": .bool(request.notesReads),
                    "pid": .integer(Int64(getpid())), "started": .integer(Clock.now().nanosecondsSince1970),
                    "successor": .bool(isSuccessor),
                ])
        }
    }

    /// Appends to the access log what was seen, so that a server that is killed loses a quarter of a second at most.
    private static func note(_ tree: VirtualTree) -> Ticker? {
        guard let accesses = tree.accesses else { return nil }
        return Ticker.start(milliseconds: 250) { accesses.write(tree) }
    }

    /// As the predecessor did, whatever was committed since: what the kernel has open was opened that way.
    private static func serving(
        _ request: ServeRequest, _ state: LedgerState, _ journal: IdentityJournal?
    ) throws(DFSError) -> Serving {
        if let note = journal?.last(.serving), let json = try? JSONValue.parse(note),
            let mode = json["serve"]?.string.flatMap({ ServeMode(rawValue: $0) })
        {
            return Serving(mode: mode, why: json["why"]?.string ?? "", isAutomatic: json["automatic"]?.bool ?? false)
        }
        let serving = ServingFacts(state).serving(request.serve)
        let note: JSONValue = [
            "serve": .string(serving.mode.rawValue), "why": .string(serving.why),
            "automatic": .bool(serving.isAutomatic),
        ]
        try journal?.append(.serving, note.canonicalBytes)
        return serving
    }

    private static func open(_ request: ServeRequest) throws(DFSError) -> Repository {
        try Repository.open(at: request.store, cacheRoot: request.cacheRoot, cacheBytes: cacheBytes)
    }

    /// Whether the store can be served.
    private static func probe(_ request: ServeRequest) throws(DFSError) { _ = try open(request).state() }

    /// What is shown from now on stays readable when it is removed; that which a predecessor showed, too.
    private static func lease(_ repository: Repository, _ sequence: UInt64, _ journal: IdentityJournal?) -> Lease? {
        if let key = journal?.last(.lease) {
            return Lease.resume(repository.backend, key: String(decoding: key, as: UTF8.self))
        }
        let lease = Lease.take(repository.backend, sequence: sequence, host: hostName())
        if let lease { try? journal?.append(.lease, Array(lease.key.utf8)) }
        return lease
    }

    /// What a supervisor passes on.
    private struct Legacy {
        let journal: IdentityJournal
        let inheritance: Inheritance

        init(_ inherited: ServeRequest.Inherited) throws(DFSError) {
            func adopt(_ number: Int32) -> OwnedDescriptor {
                // Programs that this one starts do not get it.
                _ = fcntl(number, F_SETFD, FD_CLOEXEC)
                return OwnedDescriptor(adopting: number)
            }
            journal = try IdentityJournal(
                records: adopt(inherited.records), liveFiles: adopt(inherited.liveFiles))
            inheritance = Inheritance(
                connection: adopt(inherited.connection), number: inherited.number,
                handshake: Handshake(adopt(inherited.handshake)), backing: adopt(inherited.backing))
        }
    }

    /// Answers the supervisor's questions.
    private static func obey(
        _ inherited: ServeRequest.Inherited, _ server: FuseServer, whenAlone: @escaping @Sendable () -> Void
    ) throws(DFSError) {
        _ = fcntl(inherited.control, F_SETFD, FD_CLOEXEC)
        let line = OwnedDescriptor(adopting: inherited.control)
        let answers = Heartbeat.answer(line) {
            let oldest = server.oldestRequests
            return Heartbeat(oldest: oldest.any / 1_000_000, oldestResent: oldest.resent / 1_000_000)
        } whenAlone: {
            whenAlone()
        }
        guard answers else { throw System.error(EAGAIN, "cannot start a thread") }
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

    /// A mount that others may enter shows no more than the store's own directory would.
    static func rootMode(_ store: String) throws(DFSError) -> UInt16 {
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

    private static func watch(_ signals: sigset_t, _ server: FuseServer) throws(DFSError) {
        let waits = Workers.detach {
            var set = signals
            var number: Int32 = 0
            sigwait(&set, &number)
            server.stop()
        }
        guard waits else { throw System.error(EAGAIN, "cannot start a thread") }
    }

    private static func answer(_ descriptor: Int32, _ error: DFSError?, _ serving: Serving? = nil) {
        if descriptor >= 0 { answer(OwnedDescriptor(adopting: descriptor), error, serving) }
    }

    /// Says that it serves or why it does not; the reader waits until nobody has the descriptor any more.
    static func answer(_ descriptor: OwnedDescriptor, _ error: DFSError?, _ serving: Serving? = nil) {
        var members: [String: JSONValue] = ["pid": .integer(Int64(getpid()))]
        if let serving {
            members["serve"] = .string(serving.mode.rawValue)
            members["why"] = .string(serving.why)
        }
        if let error {
            members["code"] = .string(error.code.rawValue)
            members["what"] = .string(error.what)
            if let cause = error.cause { members["cause"] = .string(cause) }
            if let hint = error.hint { members["hint"] = .string(hint) }
        }
        try? Files.write(JSONValue.object(members).canonicalBytes, to: descriptor.raw, what: "the answer")
    }

    static func log(_ message: String) {
        let line = "\(Clock.now().short) [\(getpid())] \(message)\n"
        try? Files.write(Array(line.utf8), to: 2, what: "the log")
    }
}
