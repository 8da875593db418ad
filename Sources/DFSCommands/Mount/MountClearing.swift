import DFSFuse
import DFSModel
import DFSSystem
import Glibc

/// A place where a mount of ours may stand that answers no more.
struct MountClearing {
    enum Outcome: Equatable {
        /// Nothing of ours stands there, or nothing does any more.
        case clear
        /// It answers, and did before; or it is slow and in its supervisor's good hands.
        case serving
        /// It answers again.
        case recovered
    }

    let mountpoint: String
    let registry: MountRegistry

    /// Gets an answer from what stands there within two seconds, or takes it away.
    func clear() throws(DFSError) -> Outcome {
        guard let mount = try MountTable.mount(at: mountpoint), mount.isOurs else { return .clear }
        let supervision = registry.supervision(of: mountpoint)
        if let supervision, supervision.isAlive {
            if try answers(mount, within: 300) { return .serving }
            // It looks at once.
            kill(supervision.supervisor.pid, SIGUSR1)
            let end = Clock.monotonic() + 1_200_000_000
            while Clock.monotonic() < end {
                usleep(20_000)
                if let mount = try MountTable.mount(at: mountpoint), try answers(mount, within: 300) {
                    return .recovered
                }
            }
            // Slow, but not stuck: readers would lose what they have open.
            if let now = registry.supervision(of: mountpoint), now.isAlive, now.state == .serving,
                now.looks != supervision.looks, now.restarts == supervision.restarts
            {
                return .serving
            }
        } else if try !isStuck(mount) {
            return .serving
        }
        try remove()
        return .clear
    }

    /// Takes away a mount that nobody serves or will serve; others stay.
    func clearDead() throws(DFSError) {
        guard let mount = try MountTable.mount(at: mountpoint), mount.isOurs,
            registry.supervision(of: mountpoint)?.isAlive != true, try MountTable.isStale(mount)
        else { return }
        try remove()
    }

    private func answers(_ mount: MountTable.Mount, within milliseconds: Int) throws(DFSError) -> Bool {
        try MountTable.state(of: mount, timeout: milliseconds) == .serving
    }

    /// Without a supervisor, which would know.
    private func isStuck(_ mount: MountTable.Mount) throws(DFSError) -> Bool {
        // The mount itself is asked as well: the registry may name the server of an earlier one.
        if let server = registry.record(mountpoint)?.server, try server.liveness() == .alive,
            try ProcessStat.read(pid: server.pid)?.isStopped == true
        {
            return try !answers(mount, within: 300)
        }
        return try !answers(mount, within: 3000)
    }

    /// Whoever waits there gets an error.
    private func remove() throws(DFSError) {
        registry.killProcesses(of: mountpoint)
        if let mount = try MountTable.mount(at: mountpoint), mount.isOurs {
            MountTable.abort(mount)
            try MountTable.unmount(mountpoint, lazy: true)
        }
        registry.remove(mountpoint)
    }
}
