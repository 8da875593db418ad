import CLinux
import DFSModel
import DFSSystem
import Glibc

/// The entering process: it builds the view around itself and becomes the job.
///
/// It must be a fresh process with a single thread (unshare(2) asks for it), and nothing else runs in it.
package enum Enter {
    /// Never comes back: executes the job, or tells why not and ends with 123, 125, 126 or 127.
    package static func run(planFile: String) -> Never {
        var status: Int32 = -1
        do throws(EnterFailure) {
            let plan = try EnterFailure.at(.plan) { () throws(DFSError) in try load(planFile) }
            status = plan.status
            try enter(plan)
        } catch {
            tell(.failed(error), to: status)
            _exit(error.exitCode)
        }
    }

    private static func load(_ path: String) throws(DFSError) -> EnterPlan {
        guard let bytes = try Files.read(path) else { throw EnterPlan.malformed("\(path) does not exist") }
        // Inherited from the launcher, and not meant for the job.
        let inherited = "/proc/self/fd/"
        if path.hasPrefix(inherited), let number = Int32(path.dropFirst(inherited.count)), number > 2 {
            close(number)
        }
        return try EnterPlan(json: try JSONValue.parse(bytes))
    }

    private static func enter(_ plan: EnterPlan) throws(EnterFailure) -> Never {
        if plan.status >= 0 { _ = clinux_fcntl(plan.status, F_SETFD, Int(FD_CLOEXEC)) }
        dieWithParent(plan.parent)
        let logs = try EnterFailure.at(.log) { () throws(DFSError) in try openLogs(plan) }
        try EnterFailure.at(.namespace) { () throws(DFSError) in try unshare(plan) }
        if plan.joins.isEmpty {
            var builder = ViewBuilder(plan)
            try builder.build()
        } else {
            try EnterFailure.at(.namespace) { () throws(DFSError) in try join(plan.joins) }
        }
        try EnterFailure.at(.credentials) { () throws(DFSError) in try become(plan) }
        // Changed credentials have cleared it.
        dieWithParent(plan.parent)
        try EnterFailure.at(.directory) { () throws(DFSError) in
            _ = try System.call("cannot start in \(plan.workingDirectory)") {
                withCName(plan.workingDirectory.bytes) { chdir($0) }
            }
        }
        pass(plan)
        for (descriptor, standard) in logs { dup2(descriptor.raw, standard) }
        tell(.entered(mountNamespace: Files.linkTarget("/proc/self/ns/mnt") ?? ""), to: plan.status, errors: false)
        clinux_reset_signals()
        throw execute(plan)
    }

    /// Lets the launcher look at what has been built, and waits for its word. A launcher that is gone gives none.
    private static func pass(_ plan: EnterPlan) {
        guard plan.gate >= 0 else { return }
        _ = clinux_fcntl(plan.gate, F_SETFD, Int(FD_CLOEXEC))
        tell(.ready, to: plan.status, errors: false)
        var word: UInt8 = 0
        while true {
            let count = read(plan.gate, &word, 1)
            if count == 1 { return }
            if count == 0 || errno != EINTR { _exit(125) }
        }
    }

    /// The kernel kills this process, and after exec the job, when the launcher's thread that started it ends.
    private static func dieWithParent(_ parent: Int32) {
        guard parent > 0 else { return }
        _ = clinux_die_with_parent()
        // It may have ended before the call.
        if getppid() != parent { _exit(125) }
    }

    private static func openLogs(_ plan: EnterPlan) throws(DFSError) -> [(OwnedDescriptor, Int32)] {
        var out = [(OwnedDescriptor, Int32)]()
        for (path, standard) in [(plan.standardOutput, STDOUT_FILENO), (plan.standardError, STDERR_FILENO)] {
            guard let path else { continue }
            // Others may make names where a log is to be.
            let flags = O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NOFOLLOW
            out.append((try OwnedDescriptor.open(bytes: path.bytes, flags, mode: 0o644, at: AT_FDCWD), standard))
        }
        return out
    }

    private static func unshare(_ plan: EnterPlan) throws(DFSError) {
        switch plan.namespace {
        case .none: return
        case .mount:
            try System.call("cannot make a mount namespace") { clinux_unshare(clinux_CLONE_NEWNS) }
        case .user:
            try System.call("cannot make a user namespace") {
                clinux_unshare(clinux_CLONE_NEWUSER | clinux_CLONE_NEWNS)
            }
            try put("deny", in: "/proc/self/setgroups")
            try put("\(plan.uid) \(plan.uid) 1\n", in: "/proc/self/uid_map")
            try put("\(plan.gid) \(plan.gid) 1\n", in: "/proc/self/gid_map")
        }
        // Mounts made on the host later (a FUSE daemon that was started again) still arrive; nothing goes out.
        try System.call("cannot separate the mounts from the host's") {
            mount(nil, "/", nil, UInt(MS_REC | MS_SLAVE), nil)
        }
    }

    private static func join(_ namespaces: [RawPath]) throws(DFSError) {
        // All are opened first: in another namespace the paths mean something else.
        var open = [OwnedDescriptor]()
        for path in namespaces { open.append(try OwnedDescriptor.open(bytes: path.bytes, O_RDONLY, at: AT_FDCWD)) }
        for namespace in open {
            try System.call("cannot join the run's view") { clinux_join_namespace(namespace.raw) }
        }
    }

    private static func put(_ text: String, in path: String) throws(DFSError) {
        let file = try OwnedDescriptor.open(path, O_WRONLY)
        try Files.write(text.utf8, to: file.raw, what: path)
    }

    private static func become(_ plan: EnterPlan) throws(DFSError) {
        if geteuid() == plan.uid, getegid() == plan.gid { return }
        try System.call("cannot become user \(plan.uid), group \(plan.gid)") { clinux_become(plan.uid, plan.gid) }
    }

    /// Returns only when exec failed.
    private static func execute(_ plan: EnterPlan) -> EnterFailure {
        let arguments = plan.arguments.map { withCName($0) { strdup($0) } } + [nil]
        let environment = plan.environment.map { withCName($0) { strdup($0) } } + [nil]
        _ = arguments.withUnsafeBufferPointer { arguments in
            environment.withUnsafeBufferPointer { environment in
                clinux_exec(arguments[0], arguments.baseAddress, environment.baseAddress)
            }
        }
        let code = errno
        let name = NameText.display(plan.arguments[0])
        if code != ENOENT && code != ENOTDIR {
            return EnterFailure(.command, System.error(code, "cannot run \(name)"), exitCode: 126)
        }
        if let found = CommandSearch(plan).find() {
            let error = DFSError(
                .launcher, "cannot run \(found)", cause: "the interpreter it names does not exist in the run",
                hint: "head -n 1 \(found)", errno: code)
            return EnterFailure(.command, error, exitCode: 126)
        }
        let error = DFSError(
            .launcher, "command not found: \(name)",
            cause: name.contains("/") ? "there is no such file in the run" : "it is not in the PATH of the run",
            hint: name.contains("/") ? "ls -l \(name)" : "command -v \(name)", errno: code)
        return EnterFailure(.command, error, exitCode: 127)
    }

    private static func tell(_ answer: EnterAnswer, to status: Int32, errors: Bool = true) {
        if status >= 0 {
            try? Files.write(answer.json.canonicalBytes + [UInt8(ascii: "\n")], to: status, what: "the launcher")
        } else if errors, case .failed(let failure) = answer {
            try? Files.write(Array("\(failure.error)\n".utf8), to: STDERR_FILENO, what: "stderr")
        }
    }
}

/// Finds the file that exec found unusable, to tell "not there" from "its interpreter is not there".
struct CommandSearch {
    let command: [UInt8]
    let path: [UInt8]

    init(_ plan: EnterPlan) {
        command = plan.arguments[0]
        let prefix = Array("PATH=".utf8)
        path = plan.environment.first { $0.starts(with: prefix) }.map { Array($0.dropFirst(prefix.count)) } ?? []
    }

    func find() -> RawPath? {
        if command.isEmpty { return nil }
        if command.contains(UInt8(ascii: "/")) { return isExecutable(RawPath(command)) ? RawPath(command) : nil }
        return path.split(separator: UInt8(ascii: ":")).lazy.map { RawPath(Array($0)).appending(command) }
            .first(where: isExecutable)
    }

    private func isExecutable(_ path: RawPath) -> Bool { withCName(path.bytes) { access($0, X_OK) } == 0 }
}
