import DFSLaunch
import DFSModel
import DFSSystem
import Glibc
import Testing

/// Who runs a job in a test.
enum User: String, CaseIterable, Sendable {
    case root
    case ordinary

    /// Ordinary tests cannot become root.
    static var available: [User] { geteuid() == 0 ? [.root, .ordinary] : [.ordinary] }

    var uid: UInt32 { self == .root ? 0 : geteuid() == 0 ? 65534 : geteuid() }
    var gid: UInt32 { self == .root ? 0 : geteuid() == 0 ? 65534 : getegid() }
    var namespace: EnterPlan.Namespace { self == .root ? .mount : .user }
}

/// All tests that start processes: signal handlers and the mount table are the process's, so one at a time.
@Suite(.serialized) enum ProcessTests {}

/// A folder with a project, its snapshot, data and places to write, all owned by the user who runs the job.
final class Sandbox: Sendable {
    let user: User
    let base: String
    var project: String { base + "/project" }
    var code: String { base + "/code" }
    var data: String { base + "/data" }
    var outputs: String { base + "/outputs" }
    var layer: String { base + "/layer" }
    private let mountsBefore: [UInt8]

    init(_ user: User) throws {
        self.user = user
        base = "/tmp/dfs-launch-" + Randomness.hex(bytes: 6)
        mountsBefore = try Files.read("/proc/self/mountinfo") ?? []
        for name in ["", "/project", "/code", "/data", "/outputs", "/layer", "/logs"] { try directory(name) }
        try write("one\n", to: "/data/a.txt")
    }

    deinit { try? Files.removeTree(base) }

    @discardableResult
    func directory(_ name: String) throws -> String {
        let path = base + name
        try Files.makeDirectories(path, mode: 0o755)
        _ = chown(path, user.uid, user.gid)
        return path
    }

    func write(_ text: String, to name: String, mode: UInt32 = 0o644) throws {
        let path = base + name
        try directory(Files.parent(name))
        let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
        _ = fchown(file.raw, user.uid, user.gid)
        _ = fchmod(file.raw, mode)
        try Files.write(text.utf8, to: file.raw, what: path)
    }

    func read(_ name: String) throws -> String? {
        try Files.read(base + name).map { String(decoding: $0, as: UTF8.self) }
    }

    /// A plan that runs a shell script; its output goes to `logs/`.
    func plan(_ script: String, steps: [EnterPlan.Step] = []) -> EnterPlan {
        var plan = EnterPlan(
            namespace: user.namespace, uid: user.uid, gid: user.gid, workingDirectory: "/",
            environment: [Array("PATH=/usr/bin:/bin".utf8), Array("LC_ALL=C".utf8)],
            arguments: ["/bin/sh", "-c", script].map { Array($0.utf8) })
        plan.steps = steps
        plan.standardOutput = RawPath(base + "/logs/stdout")
        plan.standardError = RawPath(base + "/logs/stderr")
        return plan
    }

    /// Starts `dfs __enter` as the user. `wrapper` is a command that executes its arguments.
    func supervisor(wrapper: [String] = []) -> Supervisor {
        var words = wrapper
        if user == .ordinary, geteuid() == 0 {
            words += ["setpriv", "--reuid=\(user.uid)", "--regid=\(user.gid)", "--clear-groups", "--"]
        }
        words += [Program.path, "__enter"]
        return Supervisor(executable: "/usr/bin/env", arguments: ["env"] + words)
    }

    func run(_ plan: EnterPlan, wrapper: [String] = []) throws -> Supervisor.Outcome {
        try supervisor(wrapper: wrapper).run(plan)
    }

    /// Runs a script that has to end with 0, and returns what it printed.
    @discardableResult
    func output(_ plan: EnterPlan, wrapper: [String] = []) throws -> String {
        let outcome = try run(plan, wrapper: wrapper)
        let errors = try read("/logs/stderr") ?? ""
        guard case .ended(let result) = outcome else {
            Issue.record("not started: \(outcome)")
            return ""
        }
        #expect(result.exitStatus == 0, "\(errors)")
        return try read("/logs/stdout") ?? ""
    }

    /// The host's mounts are as they were when the sandbox was made.
    func expectNoMountsLeft(sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(try Files.read("/proc/self/mountinfo") == mountsBefore, sourceLocation: sourceLocation)
    }
}

/// The `dfs` executable, where any user may execute it.
enum Program {
    static let path: String = {
        let built = Files.parent(Files.linkTarget("/proc/self/exe") ?? "") + "/dfs"
        guard geteuid() == 0 else { return built }
        let folder = "/tmp/dfs-launch-program-\(getpid())"
        guard let bytes = try? Files.read(built), mkdir(folder, 0o755) == 0,
            let file = try? OwnedDescriptor.open(folder + "/dfs", O_WRONLY | O_CREAT, mode: 0o755)
        else { return built }
        try? Files.write(bytes, to: file.raw, what: folder)
        atexit { try? Files.removeTree("/tmp/dfs-launch-program-\(getpid())") }
        return folder + "/dfs"
    }()
}

extension Supervisor.Outcome {
    var result: ChildResult? { if case .ended(let result) = self { result } else { nil } }
    var failure: EnterFailure? { if case .failed(let failure) = self { failure } else { nil } }
}
