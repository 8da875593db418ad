import ArgumentParser
import DFSFuse
import DFSModel
import DFSSystem
import Glibc

/// `dfs umount [PATH]`: ends a mount and its server.
struct Umount: DFSCommand {
    static let configuration = CommandConfiguration(commandName: "umount", abstract: "End a mount.")

    @Argument(help: "The mountpoint (default: as for dfs mount).")
    var path: String?

    @Flag(help: "Take it out of sight at once, though programs still use it.")
    var lazy = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let registry = try context.mountRegistry()
        let mine = registry.all().map(\.mountpoint)
        let mountpoint = path == nil && mine.count == 1 ? mine[0] : try context.mountpoint(path)
        guard let mount = try MountTable.mount(at: mountpoint) else {
            if try endUnmounted(mountpoint, registry) { return .done }
            registry.remove(mountpoint)
            throw DFSError(.noReference, "nothing is mounted on \(mountpoint)", hint: "dfs mounts")
        }
        if SealedMounts.isSealed(mount) { return try endSealed(mount, registry) }
        guard mount.isOurs else {
            throw DFSError(
                .refused, "\(mountpoint) is not a mount of a store", cause: "it is \(mount.type) of \(mount.fsname)",
                hint: "umount \(mountpoint)")
        }
        try MountClearing(mountpoint: mountpoint, registry: registry).clearDead()
        guard try MountTable.mount(at: mountpoint)?.isOurs == true else { return .done }
        let supervisor = registry.supervision(of: mountpoint)?.supervisor
        let server = registry.record(mountpoint)?.server
        do throws(DFSError) { try MountTable.unmount(mountpoint, lazy: lazy) } catch {
            guard error.errno == EBUSY else { throw error }
            throw DFSError(
                .operational, error.what, cause: error.cause, hint: "dfs umount --lazy \(mountpoint)", errno: EBUSY)
        }
        // One that is about to mount anew would not see that it is not wanted.
        if let supervisor, !lazy, try supervisor.liveness() == .alive { kill(supervisor.pid, SIGTERM) }
        if !lazy {
            try waitForEnd(of: server, mountpoint)
            try waitForEnd(of: supervisor, mountpoint)
        }
        registry.remove(mountpoint)
        return .done
    }

    /// Ends a supervisor that has no mount just now: it would mount again. `false` when there is none.
    private func endUnmounted(_ mountpoint: String, _ registry: MountRegistry) throws(DFSError) -> Bool {
        guard let supervision = registry.supervision(of: mountpoint), supervision.isAlive else { return false }
        kill(supervision.supervisor.pid, SIGTERM)
        try waitForEnd(of: supervision.supervisor, mountpoint)
        registry.remove(mountpoint)
        return true
    }

    /// Takes a view away, and its file system with it when nobody else uses that.
    private func endSealed(_ mount: MountTable.Mount, _ registry: MountRegistry) throws(DFSError) -> ExitCode {
        do throws(DFSError) { try MountTable.unmount(mount.mountpoint, lazy: lazy) } catch {
            guard error.errno == EBUSY else { throw error }
            throw DFSError(
                .operational, error.what, cause: error.cause, hint: "dfs umount --lazy \(mount.mountpoint)",
                errno: EBUSY)
        }
        registry.remove(mount.mountpoint)
        // Where its file system is mounted for all who use it.
        for other in try MountTable.mounts() where other.device == mount.device {
            guard Files.exists(other.mountpoint + ".keeper") else { continue }
            try Keeper.look(other.mountpoint)
            try Keeper.sweep(other)
        }
        return .done
    }

    private func waitForEnd(of server: ProcessIdentity?, _ mountpoint: String) throws(DFSError) {
        guard let server else { return }
        for _ in 0..<500 {
            if try server.liveness() == .dead { return }
            usleep(10_000)
        }
        throw DFSError(
            .operational, "the server of \(mountpoint) (process \(server.pid)) has not ended",
            cause: "the mount is gone; something in another mount namespace may still use it",
            hint: "kill \(server.pid)")
    }
}
