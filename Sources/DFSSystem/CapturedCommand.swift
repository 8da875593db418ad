import CLinux
import DFSModel
import Dispatch
import Glibc

/// Runs a short command and keeps what it printed.
package enum CapturedCommand {
    package enum End: Sendable, Equatable {
        case exited(Int32)
        case signalled(Int32)
        case timedOut
        /// It printed more than the limit and was killed.
        case tooMuchOutput
    }

    package struct Outcome: Sendable {
        package let end: End
        package let output: [UInt8]
        /// The first 64 KiB of stderr.
        package let errors: [UInt8]

        package var succeeded: Bool { end == .exited(0) }

        /// One line for a record: the first line of stderr, else how it ended.
        package var complaint: String {
            let line = errors.split(separator: 0x0a).first.map { NameText.display($0) }
            switch end {
            case .timedOut: return "timed out"
            case .tooMuchOutput: return "printed too much"
            case .signalled(let number): return line ?? "ended by signal \(number)"
            case .exited(let code): return line ?? "exit status \(code)"
            }
        }
    }

    /// Runs `arguments` with exactly `environment`, stdin from /dev/null, in a process group of its own.
    ///
    /// The first argument is a path, or a name looked up in the PATH of `environment`. At the limit the group is
    /// killed; a child that does not die even then (stuck in a driver) is left to a background thread, and the call
    /// returns. Throws only when the command cannot be started.
    package static func run(
        _ arguments: [String], environment: [String: String], milliseconds: Int, outputLimit: Int = 1 << 30
    ) throws(DFSError) -> Outcome {
        guard let name = arguments.first else { throw DFSError(.usage, "an empty command cannot be run") }
        guard let path = Executables.find(name, path: environment["PATH"] ?? "") else {
            throw DFSError(.operational, "cannot run \(name)", cause: "not found in PATH", errno: ENOENT)
        }
        let output = try Pipe()
        let errors = try Pipe()
        let pid = try spawn(path, arguments, environment, output: output.write, errors: errors.write)
        output.closeWriter()
        errors.closeWriter()
        var reader = CommandReader(
            pid: pid, descriptors: [output.read.raw, errors.read.raw],
            deadline: Clock.monotonic() + UInt64(max(0, milliseconds)) * 1_000_000, outputLimit: outputLimit)
        let end = reader.readToEnd()
        return Outcome(end: end, output: reader.output, errors: reader.errors)
    }

    private static func spawn(
        _ path: String, _ arguments: [String], _ environment: [String: String], output: Int32, errors: Int32
    ) throws(DFSError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var every = sigset_t()
        var none = sigset_t()
        sigfillset(&every)
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &every)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0.key + "=" + $0.value) } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, path, &actions, &attributes, &argv, &envp)
        guard code == 0 else { throw System.error(code, "cannot run \(path)") }
        return pid
    }

    private final class Pipe {
        let read: OwnedDescriptor
        private var writer: OwnedDescriptor?
        var write: Int32 { writer?.raw ?? -1 }

        init() throws(DFSError) {
            var ends: [Int32] = [-1, -1]
            try System.call("cannot make a pipe") { clinux_pipe(&ends) }
            read = OwnedDescriptor(adopting: ends[0])
            writer = OwnedDescriptor(adopting: ends[1])
        }

        func closeWriter() { writer = nil }
    }
}

/// Finds programs as a shell would.
package enum Executables {
    /// A name with a slash is taken as a path; else the first executable file of that name in `path` (colon-separated).
    /// Relative directories count from `base` (default: the working directory).
    package static func find(_ name: String, path: String, from base: String? = nil) -> String? {
        guard !name.isEmpty else { return nil }
        if name.contains("/") {
            let full = Files.absolute(name, from: base)
            return isProgram(full) ? full : nil
        }
        for part in path.split(separator: ":", omittingEmptySubsequences: false) {
            let full = Files.absolute(part.isEmpty ? name : part + "/" + name, from: base)
            if isProgram(full) { return full }
        }
        return nil
    }

    private static func isProgram(_ path: String) -> Bool {
        guard access(path, X_OK) == 0 else { return false }
        var s = stat()
        return stat(path, &s) == 0 && s.st_mode & S_IFMT == S_IFREG
    }
}

/// Collects a child's stdout and stderr until it ends, prints too much or its time is up.
private struct CommandReader {
    let pid: pid_t
    /// stdout and stderr; -1 once it has ended.
    var descriptors: [Int32]
    let deadline: UInt64
    let outputLimit: Int
    var output = [UInt8]()
    var errors = [UInt8]()
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    init(pid: pid_t, descriptors: [Int32], deadline: UInt64, outputLimit: Int) {
        self.pid = pid
        self.descriptors = descriptors
        self.deadline = deadline
        self.outputLimit = outputLimit
    }

    mutating func readToEnd() -> CapturedCommand.End {
        while descriptors != [-1, -1] {
            if Clock.monotonic() >= deadline { return kill(as: .timedOut) }
            let ready = readWhatIsThere(waiting: 20)
            if output.count > outputLimit { return kill(as: .tooMuchOutput) }
            if !ready, let status = ended() {
                // Someone else holds the pipe (a daemon the child left behind): what it wrote itself is here by now.
                _ = readWhatIsThere(waiting: 0)
                return end(of: status)
            }
        }
        while true {
            if let status = ended() { return end(of: status) }
            if Clock.monotonic() >= deadline { return kill(as: .timedOut) }
            usleep(200)
        }
    }

    /// Reads once from each stream that has something; `false` when none had.
    private mutating func readWhatIsThere(waiting milliseconds: Int32) -> Bool {
        var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard poll(&polled, nfds_t(polled.count), milliseconds) > 0 else { return false }
        for i in polled.indices where polled[i].revents != 0 {
            let count = Glibc.read(polled[i].fd, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                descriptors[i] = -1
                continue
            }
            if i == 0 {
                output += buffer[..<count]
            } else if errors.count < 1 << 16 {
                errors += buffer[..<count]
            }
        }
        return true
    }

    private func ended() -> Int32? {
        var status: Int32 = 0
        return waitpid(pid, &status, WNOHANG) == pid ? status : nil
    }

    private func end(of status: Int32) -> CapturedCommand.End {
        clinux_wifexited(status) != 0 ? .exited(clinux_wexitstatus(status)) : .signalled(clinux_wtermsig(status))
    }

    private func kill(as end: CapturedCommand.End) -> CapturedCommand.End {
        Glibc.kill(-pid, SIGKILL)
        for _ in 0..<100 {
            if ended() != nil { return end }
            usleep(1000)
        }
        let pid = self.pid
        DispatchQueue.global().async {
            var status: Int32 = 0
            waitpid(pid, &status, 0)
        }
        return end
    }
}
