import DFSModel
import DFSSystem
import Glibc

/// Runs a small helper program and keeps what it says on stderr.
enum Subprocess {
    struct Result {
        var exitCode: Int32
        /// The last lines of stderr, without trailing white space.
        var message: String
    }

    /// Where programs of the system are looked for; the environment is the caller's business.
    private static let directories = ["/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin", "/usr/sbin", "/sbin"]

    static func find(_ name: String) -> String? {
        directories.lazy.map { $0 + "/" + name }.first { access($0, X_OK) == 0 }
    }

    /// Starts `path` with stdin and stdout closed to it and waits. `inherit` is a descriptor that it keeps.
    /// Killed after `timeout` milliseconds, when one is given; then `nil`.
    static func run(
        _ path: String, _ arguments: [String], environment: [String] = [], inherit: Int32? = nil, timeout: Int? = nil
    ) throws(DFSError) -> Result? {
        var pipes: [Int32] = [-1, -1]
        try System.call("cannot make a socket") {
            socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pipes)
        }
        let output = OwnedDescriptor(adopting: pipes[0])
        var input: OwnedDescriptor? = OwnedDescriptor(adopting: pipes[1])
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_RDWR, 0)
        posix_spawn_file_actions_adddup2(&actions, pipes[1], 2)
        // Duplicating a descriptor onto itself clears its close-on-exec flag there, and only there.
        if let inherit { posix_spawn_file_actions_adddup2(&actions, inherit, inherit) }
        var pid: pid_t = 0
        let code = withPointers([path] + arguments) { argv in
            withPointers(environment) { posix_spawn(&pid, path, &actions, nil, argv, $0) }
        }
        guard code == 0 else { throw System.error(code, "cannot start \(path)") }
        input = nil
        _ = input
        return try wait(pid, output, timeout)
    }

    private static func wait(_ pid: pid_t, _ output: OwnedDescriptor, _ timeout: Int?) throws(DFSError) -> Result? {
        let deadline = timeout.map { Clock.monotonic() + UInt64($0) * 1_000_000 }
        var text = [UInt8]()
        while true {
            var poll = pollfd(fd: output.raw, events: Int16(POLLIN), revents: 0)
            let rest = deadline.map { Int32(clamping: Int64($0 / 1_000_000) - Int64(Clock.monotonic() / 1_000_000)) }
            let ready = Glibc.poll(&poll, 1, max(rest ?? -1, rest == nil ? -1 : 0))
            if ready < 0, errno == EINTR { continue }
            if ready <= 0 {
                // It may hang where no signal reaches it; whoever waits for it would hang as well.
                kill(pid, SIGKILL)
                var status: Int32 = 0
                usleep(20_000)
                waitpid(pid, &status, WNOHANG)
                return nil
            }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = Glibc.read(output.raw, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            text = Array((text + buffer[..<count]).suffix(4096))
        }
        var status: Int32 = 0
        try System.call("cannot wait for a helper") { waitpid(pid, &status, 0) }
        while let last = text.last, last == 0x0a || last == 0x20 { text.removeLast() }
        let exited = status & 0x7f == 0
        return Result(
            exitCode: exited ? status >> 8 & 0xff : 128 + (status & 0x7f),
            message: String(decoding: text, as: UTF8.self))
    }

    /// Calls `body` with a NULL-terminated array of C strings.
    private static func withPointers<R>(
        _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> R
    ) -> R {
        var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeMutableBufferPointer { buffer in
            withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<CChar>?.self, capacity: 1) { empty in
                empty[0] = nil
                return body(buffer.baseAddress ?? empty.baseAddress.unsafelyUnwrapped)
            }
        }
    }
}
