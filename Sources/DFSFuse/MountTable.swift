import DFSModel
import DFSSystem
import Glibc

/// Mounts of this host, as the kernel lists them. Nothing here asks a mounted file system anything, except
/// `state`, which does so in a child process.
package enum MountTable {
    package struct Mount: Sendable, Equatable {
        package var mountpoint: String
        /// What was mounted: `dfs:…` for ours.
        package var fsname: String
        /// `fuse.dfs` for ours.
        package var type: String
        /// The minor device number: the number of a FUSE connection.
        package var connection: UInt32
        /// `major:minor` of the file system: equal for all mounts of one.
        package var device: String
        /// Options of the superblock, such as `user_id=0`.
        package var options: [String]

        package var isOurs: Bool { type == "fuse.dfs" }
    }

    package enum State: Sendable, Equatable {
        /// It answers.
        case serving
        /// Its daemon is gone; only unmounting helps.
        case stale
        /// It does not answer in time.
        case hanging
    }

    /// All mounts of this process's mount namespace, in the order in which they were made.
    package static func mounts() throws(DFSError) -> [Mount] {
        guard let bytes = try Files.read("/proc/self/mountinfo", limit: 64 << 20) else {
            throw DFSError(.operational, "cannot read the mounts", cause: "/proc is not mounted")
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap(parse)
    }

    /// The topmost mount at an absolute path.
    package static func mount(at path: String) throws(DFSError) -> Mount? {
        try mounts().last { $0.mountpoint == path }
    }

    static func parse(_ line: Substring) -> Mount? {
        let fields = line.split(separator: " ")
        guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count > dash + 2,
            let minor = fields[2].split(separator: ":").last.flatMap({ UInt32($0) })
        else { return nil }
        let options = fields.count > dash + 3 ? fields[dash + 3].split(separator: ",").map(String.init) : []
        return Mount(
            mountpoint: unescape(fields[4]), fsname: unescape(fields[dash + 2]), type: String(fields[dash + 1]),
            connection: minor, device: String(fields[2]), options: options)
    }

    /// `\040` and the like.
    private static func unescape(_ text: Substring) -> String {
        let source = Array(text.utf8)
        var out = [UInt8]()
        var i = 0
        while i < source.count {
            let digits = source[i...].prefix(4).dropFirst()
            if source[i] == UInt8(ascii: "\\"), digits.count == 3, digits.allSatisfy({ (0x30...0x37).contains($0) }) {
                out.append(digits.reduce(0) { $0 &* 8 &+ ($1 - 0x30) })
                i += 4
            } else {
                out.append(source[i])
                i += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// The absolute path that the mount table would show for `path`, found without touching what is mounted there:
    /// the directory above is resolved, the last component only if it is a symlink.
    package static func canonical(_ path: String) -> String {
        var path = Files.absolute(path)
        for _ in 0..<40 {
            guard path != "/" else { return path }
            let parent = Files.resolved(Files.parent(path)) ?? Files.parent(path)
            let name = path.split(separator: "/").last ?? ""
            path = (parent == "/" ? "" : parent) + "/" + name
            guard let target = Files.linkTarget(path) else { return path }
            path = Files.absolute(target, from: parent)
        }
        return path
    }

    /// Whether a mount answers. `server` is the process known to serve it, if one is.
    package static func state(
        of mount: Mount, server: pid_t? = nil, timeout milliseconds: Int = 3000
    ) throws(DFSError) -> State {
        if let server, kill(server, 0) != 0, errno == ESRCH { return .stale }
        guard let stat = Subprocess.find("stat") else { return .serving }
        // In a child: a request that a stuck daemon has taken can hold its caller until the connection is aborted.
        guard let result = try Subprocess.run(stat, ["-f", "--", mount.mountpoint], timeout: milliseconds) else {
            return .hanging
        }
        // Other failures, such as that of a mount which lets nobody else in, are answers.
        return result.exitCode != 0 && result.message.contains(String(cString: strerror(ENOTCONN))) ? .stale : .serving
    }

    /// Whether the daemon of a mount is gone.
    package static func isStale(_ mount: Mount, server: pid_t? = nil) throws(DFSError) -> Bool {
        try state(of: mount, server: server) == .stale
    }

    /// Unmounts `path`, which is as `canonical` gives it. `lazy` takes it out of sight at once and ends it when
    /// its last user is gone.
    package static func unmount(_ path: String, lazy: Bool = false) throws(DFSError) {
        if geteuid() == 0 {
            // UMOUNT_NOFOLLOW, which the Glibc module lacks.
            let flags = 8 | (lazy ? Int32(MNT_DETACH) : 0)
            do throws(DFSError) {
                try System.call("cannot unmount \(path)") { umount2(path, flags) }
                return
            } catch {
                switch error.errno {
                case EBUSY: throw busy(path)
                case EINVAL, ENOENT: throw notMounted(path)
                // Root without privileges, as in a container: fusermount3 may have them.
                case EPERM: break
                default: throw error
                }
            }
        }
        try unmountAsUser(path, lazy: lazy)
    }

    private static func unmountAsUser(_ path: String, lazy: Bool) throws(DFSError) {
        guard let helper = Subprocess.find("fusermount3") else { throw Mounting.noHelper() }
        let result = try Subprocess.run(helper, ["-u"] + (lazy ? ["-z"] : []) + ["--", path])
        guard let result, result.exitCode != 0 else { return }
        if result.message.contains("busy") { throw busy(path) }
        guard try mount(at: path) != nil else { throw notMounted(path) }
        throw DFSError(.operational, "cannot unmount \(path)", cause: result.message)
    }

    private static func busy(_ path: String) -> DFSError {
        DFSError(
            .operational, "\(path) is in use", cause: "a program has a file or its working directory there",
            hint: "fuser -vm \(path)", errno: EBUSY)
    }

    private static func notMounted(_ path: String) -> DFSError {
        DFSError(.noReference, "nothing is mounted on \(path)", hint: "dfs mounts", errno: EINVAL)
    }

    /// Ends a connection whatever its daemon does: its users get an error instead of waiting. Needs the fusectl file
    /// system; `false` when that is not mounted or refuses.
    @discardableResult
    package static func abort(_ mount: Mount) -> Bool { abort(connection: mount.connection) }

    @discardableResult
    static func abort(connection number: UInt32) -> Bool {
        let path = "/sys/fs/fuse/connections/\(number)/abort"
        guard let file = try? OwnedDescriptor.open(path, O_WRONLY) else { return false }
        return (try? Files.write([0x31], to: file.raw, what: path)) != nil
    }
}
