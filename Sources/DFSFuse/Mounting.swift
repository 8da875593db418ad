import CFuse3
import DFSModel
import DFSSystem
import DFSVirtual
import Glibc

/// How to mount.
package struct MountOptions: Sendable {
    /// An empty directory.
    package var mountpoint: String
    /// What the mount table shows as the source: `dfs:<store>`.
    package var fsname: String
    /// Whether other users may enter, as far as permission bits let them.
    package var allowOther: Bool
    /// Read-ahead of the mount, in KiB; only root can set it.
    package var readAhead: Int
    /// Threads that answer requests.
    package var threads: Int
    /// How files are to be served.
    package var serving: Serving
    /// Whether the kernel may be asked again for what a dead server had taken.
    package var resends = true

    /// Enough that some may wait for a disk while others decompress on every core.
    package static let standardThreads = min(32, max(8, 2 * Workers.processorCount))

    package init(
        mountpoint: String, fsname: String, allowOther: Bool = false, readAhead: Int = 1024,
        threads: Int = MountOptions.standardThreads,
        serving: Serving = Serving(mode: .stateless, why: "asked for")
    ) {
        self.serving = serving
        self.mountpoint = mountpoint
        self.fsname = fsname
        self.allowOther = allowOther
        self.readAhead = readAhead
        self.threads = threads
    }
}

/// The system's part of mounting, without libfuse's: it would write to stderr and tell no cause.
enum Mounting {
    static let device = "/dev/fuse"

    /// The canonical mountpoint, or why nothing can be mounted there.
    static func check(_ options: MountOptions) throws(DFSError) -> String {
        let path = MountTable.canonical(options.mountpoint)
        try Mountpoint.check(path, fsname: options.fsname)
        try checkDevice()
        return path
    }

    /// fusermount3 opens the device with its caller's rights, so this holds for everybody.
    private static func checkDevice() throws(DFSError) {
        guard access(device, R_OK | W_OK) != 0 else { return }
        if errno == ENOENT {
            throw DFSError(
                .cannotServe, "no file system can be served on this host", cause: "there is no \(device)",
                hint: "modprobe fuse", errno: ENOENT)
        }
        throw DFSError(
            .cannotServe, "this user may not serve a file system", cause: "\(device) cannot be opened",
            hint: "ls -l \(device)", errno: EACCES)
    }

    /// Mounts and returns the descriptor that requests come from.
    static func mount(_ options: MountOptions, on path: String) throws(DFSError) -> OwnedDescriptor {
        guard geteuid() == 0 else { return try mountAsUser(options, on: path) }
        do throws(DFSError) {
            return try mountAsRoot(options, on: path)
        } catch {
            // Root without privileges, as in a container.
            guard error.errno == EPERM, Subprocess.find("fusermount3") != nil else { throw error }
            return try mountAsUser(options, on: path)
        }
    }

    private static func mountAsRoot(_ options: MountOptions, on path: String) throws(DFSError) -> OwnedDescriptor {
        let descriptor = try OwnedDescriptor.open(device, O_RDWR)
        var data = "fd=\(descriptor.raw),rootmode=40000,user_id=\(geteuid()),group_id=\(getegid()),default_permissions"
        if options.allowOther { data += ",allow_other" }
        let flags = UInt(MS_RDONLY | MS_NOSUID | MS_NODEV)
        try System.call("cannot mount on \(path)") {
            Glibc.mount(options.fsname, path, "fuse.dfs", flags, data)
        }
        return descriptor
    }

    static func noHelper() -> DFSError {
        DFSError(
            .cannotServe, "an ordinary user needs fusermount3 to mount", cause: "it is not installed",
            hint: "apt-get install fuse3", errno: ENOENT)
    }

    /// fusermount3 mounts and sends the descriptor over a socket.
    static func mountAsUser(_ options: MountOptions, on path: String) throws(DFSError) -> OwnedDescriptor {
        guard let helper = Subprocess.find("fusermount3") else { throw noHelper() }
        var sockets: [Int32] = [-1, -1]
        try System.call("cannot make a socket") {
            socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &sockets)
        }
        let own = OwnedDescriptor(adopting: sockets[0]), theirs = OwnedDescriptor(adopting: sockets[1])
        let result = try Subprocess.run(
            helper, ["-o", helperOptions(options), "--", path],
            environment: ["_FUSE_COMMFD=\(theirs.raw)", "PATH=/usr/bin:/bin"], inherit: theirs.raw)
        guard let result, result.exitCode == 0 else { throw refused(path, result?.message ?? "") }
        let descriptor = cfuse3_receive_descriptor(own.raw)
        guard descriptor >= 0 else { throw refused(path, "fusermount3 sent no descriptor") }
        return OwnedDescriptor(adopting: descriptor)
    }

    private static func refused(_ path: String, _ message: String) -> DFSError {
        let cause = message.split(separator: "\n").last.map(String.init) ?? "fusermount3 failed"
        let hint = message.contains("user_allow_other") ? "cat /etc/fuse.conf" : nil
        return DFSError(.operational, "cannot mount on \(path)", cause: cause, hint: hint, errno: EPERM)
    }

    private static func helperOptions(_ options: MountOptions) -> String {
        var name = ""
        for character in options.fsname {
            if character == "," || character == "\\" { name.append("\\") }
            name.append(character)
        }
        let other = options.allowOther ? ",allow_other" : ""
        return "ro,nosuid,nodev,default_permissions,fsname=\(name),subtype=dfs" + other
    }
}
