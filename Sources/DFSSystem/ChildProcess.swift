import CLinux
import DFSModel
import Glibc

/// A started process of our own, which is not waited for by anyone else.
package struct ChildProcess: Sendable {
    package let pid: pid_t

    /// Starts `executable` in a session of its own, with /dev/null as input. `output` receives its stdout and stderr (default:
    /// /dev/null). `inherited` descriptors keep their numbers; it has no others, whatever the caller of this program left
    /// open: a lock would be held for as long as it lives.
    package static func start(
        _ executable: String, arguments: [String], output: OwnedDescriptor? = nil, inherited: [OwnedDescriptor] = []
    ) throws(DFSError) -> ChildProcess {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0)
        for target: Int32 in [1, 2] {
            if let output {
                posix_spawn_file_actions_adddup2(&actions, output.raw, target)
            } else {
                posix_spawn_file_actions_addopen(&actions, target, "/dev/null", O_RDWR, 0)
            }
        }
        for number in try inheritable() { posix_spawn_file_actions_addclose(&actions, number) }
        // To the same number: inherited, where all others are closed.
        for descriptor in inherited { posix_spawn_file_actions_adddup2(&actions, descriptor.raw, descriptor.raw) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // No signal blocked, whatever thread this is. POSIX_SPAWN_SETSID (0x80, which the Glibc module lacks): a
        // terminal's Ctrl-C is not for it.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK) | 0x80)
        let argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for word in argv { free(word) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, executable, &actions, &attributes, argv, clinux_environment())
        guard code == 0 else { throw System.error(code, "cannot start \(executable)") }
        return ChildProcess(pid: pid)
    }

    /// Descriptors beyond the standard ones that a program executed here would get.
    private static func inheritable() throws(DFSError) -> [Int32] {
        try DirectoryListing.names(of: "/proc/self/fd").compactMap { name in
            guard let number = Int32(String(decoding: name, as: UTF8.self)), number > 2 else { return nil }
            let flags = clinux_fcntl(number, F_GETFD, 0)
            return flags >= 0 && flags & FD_CLOEXEC == 0 ? number : nil
        }
    }

    /// Waits for its end, at most `milliseconds`; `false` when it still runs.
    package func wait(milliseconds: Int) -> Bool {
        let end = Clock.monotonic() + UInt64(milliseconds) * 1_000_000
        var status: Int32 = 0
        while true {
            let answer = waitpid(pid, &status, WNOHANG)
            if answer == pid || (answer == -1 && errno == ECHILD) { return true }
            if Clock.monotonic() >= end { return false }
            usleep(1000)
        }
    }
}
