import CLinux
import DFSModel
import DFSSystem
import Glibc

/// A mount as its supervisor holds it: the descriptor that requests come from. As long as somebody has it open the
/// connection lives, whether anybody serves it or not. Nothing here asks the mounted file system anything.
package final class FuseConnection {
    package let mountpoint: String
    /// The minor device number of the mount.
    package let number: UInt32
    private var open: OwnedDescriptor?

    /// Mounts, where `options` say.
    package init(mounting options: MountOptions) throws(DFSError) {
        mountpoint = try Mounting.check(options)
        let descriptor = try Mounting.mount(options, on: mountpoint)
        guard let mount = try MountTable.mount(at: mountpoint), mount.isOurs else {
            throw DFSError(.cannotServe, "\(mountpoint) was unmounted at once", hint: "dfs mount \(mountpoint)")
        }
        number = mount.connection
        open = descriptor
    }

    /// For a server, which inherits it; `nil` once the connection was given up.
    package var descriptor: OwnedDescriptor? { open }

    /// Whether the kernel has ended it: it was unmounted and nothing uses it any more, or it was aborted.
    package var isEnded: Bool {
        guard let open else { return true }
        var state = pollfd(fd: open.raw, events: 0, revents: 0)
        return poll(&state, 1, 0) == 1 && state.revents & Int16(POLLERR | POLLHUP | POLLNVAL) != 0
    }

    /// Whether it is what stands at the mountpoint. A mount table that cannot be read is no proof of the contrary.
    package var isMounted: Bool {
        guard let mounts = try? MountTable.mounts() else { return true }
        return mounts.last { $0.mountpoint == mountpoint }?.connection == number
    }

    /// Ends the connection: whoever waits gets an error. The mount stays in sight and answers ENOTCONN.
    package func abort() {
        if !isEnded {
            let isKnown = (try? MountTable.mounts())?.last { $0.connection == number && $0.isOurs }.map(
                MountTable.abort)
            // A server that cannot be killed still holds the descriptor.
            if isKnown != true, geteuid() == 0, isMounted { abortByForce() }
        }
        open = nil
    }

    /// Unmounting by force aborts. It must fail at unmounting: an idle mount would be out of sight.
    private func abortByForce() {
        // Opened like this, the file system is asked nothing.
        let flags = clinux_O_PATH | O_DIRECTORY | O_NOFOLLOW
        guard let user = try? OwnedDescriptor.open(mountpoint, flags) else { return }
        withExtendedLifetime(user) { _ = umount2(mountpoint, Int32(MNT_FORCE) | 8) }
    }

    /// Takes the mount out of sight.
    package func detach() throws(DFSError) {
        if isMounted { try MountTable.unmount(mountpoint, lazy: true) }
    }
}
