import DFSChunking
import DFSLedger
import DFSModel
import DFSRemote
import DFSSystem
import Glibc
import Synchronization

/// A folder that goes away with its owner.
final class Scratch: Sendable {
    let path: String

    init() throws {
        path = "/tmp/dfs-ledger-" + Randomness.hex(bytes: 8)
        try Files.makeDirectories(path, mode: 0o700)
    }

    deinit { try? Files.removeTree(path) }

    func write(_ name: String, _ text: String, mode: mode_t = 0o600) throws -> String {
        let file = try DurableFile(temporaryDirectory: path, mode: mode)
        try file.append(Array(text.utf8))
        try file.replace(path + "/" + name)
        chmod(path + "/" + name, mode)
        return path + "/" + name
    }
}

/// Runs a program to its end and returns its exit status and what it wrote to stdout and stderr.
func execute(_ arguments: [String], in scratch: Scratch, input: String? = nil, environment: [String: String] = [:])
    throws -> (status: Int32, output: String)
{
    let pid = try start(arguments, in: scratch, input: input, environment: environment, output: "output")
    var status: Int32 = 0
    while waitpid(pid, &status, 0) == -1, errno == EINTR {}
    let output = try Files.read(scratch.path + "/output") ?? []
    return ((status >> 8) & 0xff, String(decoding: output, as: UTF8.self))
}

/// Starts a program whose output goes to a file of the scratch folder.
func start(
    _ arguments: [String], in scratch: Scratch, input: String? = nil, environment: [String: String] = [:],
    output: String
) throws -> pid_t {
    let inputPath = try input.map { try scratch.write("input", $0) } ?? "/dev/null"
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, inputPath, O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, scratch.path + "/" + output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // Worker threads block signals, and a child inherits that: it could not be ended.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    let variables = environment.merging(["PATH": "/usr/bin:/bin", "HOME": scratch.path]) { own, _ in own }
    var argv = arguments.map { strdup($0) } + [nil]
    var envp = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in argv + envp { free(pointer) } }
    var pid: pid_t = 0
    let result = posix_spawnp(&pid, arguments[0], &actions, &attributes, &argv, &envp)
    guard result == 0 else { throw DFSError(.operational, "cannot start \(arguments[0])", errno: result) }
    return pid
}

/// Calls `body` on `count` threads at once and waits for them.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    final class Box: Sendable {
        let work: @Sendable () -> Void
        init(_ work: @escaping @Sendable () -> Void) { self.work = work }
    }
    var threads = [pthread_t]()
    for index in 0..<count {
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Box { body(index) })
        let result = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().work() }
                return nil
            }, box.toOpaque())
        if result == 0 { threads.append(thread) } else { box.release() }
    }
    for thread in threads { pthread_join(thread, nil) }
}

/// A ledger in a scratch folder, its key, and what both are made from.
struct Fixture {
    static let store = StoreID(UUIDv7(milliseconds: 1_700_000_000_000, random: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]))
    static let storeFileDigest = Digest.of(Array("the bytes of dfs-store.json".utf8))

    let scratch: Scratch
    let backend: DirectoryBackend
    let ledger: Ledger
    let signer: OpenSSHKey

    init() throws {
        scratch = try Scratch()
        backend = DirectoryBackend(root: scratch.path + "/store")
        ledger = Self.open(backend)
        signer = try OpenSSHKey.generate(comment: "test")
    }

    static func open(_ backend: any Backend, state: LedgerState? = nil) -> Ledger {
        Ledger(backend: backend, store: store, storeFileDigest: storeFileDigest, state: state)
    }

    func verify(texts: LedgerVerifier.TextSource? = nil) throws -> LedgerReport {
        try LedgerVerifier(backend: backend, store: Self.store, storeFileDigest: Self.storeFileDigest)
            .verify(texts: texts)
    }

    @discardableResult
    func append(_ events: LedgerEvent...) throws -> LedgerEntry? {
        try ledger.append(signer: signer) { _ in events }
    }

    func path(_ sequence: UInt64) -> String { backend.path(EntryKey.path(sequence)) }

    /// Puts other bytes in the place of an entry, quickly.
    func overwrite(_ sequence: UInt64, _ bytes: [UInt8]) throws {
        try Files.remove(path(sequence))
        let file = try OwnedDescriptor.open(path(sequence), O_WRONLY | O_CREAT | O_EXCL, mode: 0o444)
        try Files.write(bytes, to: file.raw, what: path(sequence))
    }

    /// A small history with every kind of event. Returns the text objects it commits to.
    @discardableResult
    func tellStory() throws -> [Digest: [UInt8]] {
        let text = TextObject(fields: ["message": "first"])
        try ledger.create(signer: signer)
        try append(.commit("faces", 1, text: text.address), .code("train", "s1"))
        try append(.tag("best", "faces", 1))
        try append(.commit("faces", 2), .tag("best", "faces", 2, moved: true))
        try append(.start(run(1), data: [.faces(2)]))
        try append(.finish(run(1)), .tagSet(.init(tag: "good", target: .run(run(1)), moved: false)))
        try append(.start(run(2), data: []))
        try append(.runInterrupted(.end(run(2), .interrupted)))
        try append(
            .tagRemoved(.init(tag: "best", holder: .dataset("faces"))),
            .tagRemoved(.init(tag: "good", holder: .run(run(1)))), .unknown(["kind": "future.event", "x": 1]))
        return [text.address.digest: text.encoded]
    }
}

func run(_ n: UInt64) -> RunID {
    RunID(
        UUIDv7(milliseconds: 1_700_000_000_000 + n, random: Array(Digest.of([UInt8(truncatingIfNeeded: n)]).bytes)))
}

func someDigest(_ text: String) -> Digest { .of(Array(text.utf8)) }

extension TreeReference {
    static func some(_ name: String) -> TreeReference {
        TreeReference(
            content: ContentDigest(someDigest("content " + name)), tree: ObjectAddress(someDigest("tree " + name)),
            files: 3, bytes: 1 << 40)
    }
}

extension RecordReference {
    static func some(_ name: String) -> RecordReference {
        RecordReference(
            record: ObjectAddress(someDigest("record " + name)), packs: ObjectAddress(someDigest("packs " + name)),
            pack: PackID(someDigest("pack " + name)))
    }
}

extension RunInput {
    static func faces(_ version: Int, key: String = "faces") -> RunInput {
        RunInput(
            key: key, dataset: "faces", version: version, content: TreeReference.some("faces v\(version)").content)
    }
}

extension LedgerEvent.RunFinished {
    static func end(_ run: RunID, _ outcome: RunOutcome) -> Self {
        .init(
            run: run, outcome: outcome, outputs: .some("outputs \(run)"), work: nil, logs: .some("logs \(run)"),
            record: .some("end \(run) \(outcome)"))
    }
}

extension LedgerEvent {
    static func commit(_ dataset: String, _ version: Int, text: ObjectAddress? = nil) -> LedgerEvent {
        .datasetCommitted(
            .init(
                dataset: dataset, version: version, tree: .some("\(dataset) v\(version)"),
                record: .some("\(dataset) v\(version)"), text: text))
    }

    static func tag(_ tag: String, _ dataset: String, _ version: Int, moved: Bool = false) -> LedgerEvent {
        .tagSet(.init(tag: tag, target: .version(dataset: dataset, number: version), moved: moved))
    }

    static func removal(_ dataset: String, _ version: Int?) -> LedgerEvent {
        .datasetRemoved(
            .init(
                dataset: dataset, version: version, text: ObjectAddress(.of(Array("why".utf8))),
                packs: ObjectAddress(.of(Array("no packs".utf8))), pack: .some("removal \(dataset) \(version ?? 0)")))
    }

    static func condemnation(
        _ packs: [PackID], _ replacements: [PackID: [PackID]] = [:], seen: UInt64 = 1
    ) -> LedgerEvent {
        .packsCondemned(.init(packs: packs, replacements: replacements, seen: seen))
    }

    static func code(_ project: String, _ snapshot: String) -> LedgerEvent {
        .codeCaptured(
            .init(project: project, snapshot: snapshot, tree: .some(snapshot), record: .some(project + snapshot)))
    }

    static func start(_ run: RunID, data: [RunInput]) -> LedgerEvent {
        .runStarted(.init(run: run, project: "train", snapshot: "s1", data: data, record: .some("start \(run)")))
    }

    static func finish(_ run: RunID) -> LedgerEvent { .runFinished(.end(run, .succeeded)) }
}

/// The error that `body` throws.
func failure(_ body: () throws -> Void) -> DFSError? {
    do {
        try body()
        return nil
    } catch { return error as? DFSError }
}

extension PackID {
    static func some(_ seed: String) -> PackID { PackID(.of(Array("pack \(seed)".utf8))) }
}
