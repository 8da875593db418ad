import CLinux
import DFSModel
import DFSSystem
import Glibc

/// Mounts images with the system calls themselves: mount(8) would make a loop device of each, and mount(2)'s options hold some
/// hundred devices.
enum ErofsMount {
    struct Options: Sendable {
        /// Reads packs past the page cache: slower the first time, and nothing is cached twice.
        var directIO = false
    }

    /// Mounts `image` at `mountpoint`, read-only. `device` gives the files behind it one after the other.
    static func mount(
        image: OwnedDescriptor, named path: String, devices count: Int, at mountpoint: String, options: Options,
        device: (Int) throws(DFSError) -> OwnedDescriptor
    ) throws(DFSError) {
        let what = "cannot mount \(path)"
        let known = readAheads()
        let context: OwnedDescriptor
        do {
            context = OwnedDescriptor(adopting: try System.call(what, fault: "mount") { clinux_fsopen("erofs") })
        } catch { throw explained(error, path, nil) }
        func configure(_ command: UInt32, _ key: String?, _ value: String?) throws(DFSError) {
            do {
                try System.call(what, fault: "mount") { clinux_fsconfig(context.raw, command, key, value) }
            } catch { throw explained(error, path, log(of: context)) }
        }
        // What the mount table shows, and by which a view is found again; the file is opened by this name as well.
        guard path.utf8.count < 250 else {
            throw DFSError(
                .cannotServe, what, cause: "the kernel takes no path as long as the cache's",
                hint: "export XDG_CACHE_HOME=/var/cache", errno: ENAMETOOLONG)
        }
        try configure(1, "source", path)
        // There are no ACLs in it: nobody needs to look for them at each open.
        try configure(0, "noacl", nil)
        if options.directIO { try configure(0, "directio", nil) }
        // The kernel opens them all at the end, by these names: descriptors must be open until then. Where there can be no more
        // of them, the rest goes by its path, and is compared with what it was afterwards.
        let allowed = allowDescriptors(count)
        var files = [OwnedDescriptor]()
        var named = [(path: String, stamp: FileStamp)]()
        defer { withExtendedLifetime(files) {} }
        for i in 0..<count {
            let file = try device(i)
            if files.count < allowed {
                files.append(file)
                try configure(1, "device", "/proc/self/fd/\(file.raw)")
            } else {
                let path = try Self.path(of: file)
                named.append((path, try FileStamp.of(file)))
                try configure(1, "device", path)
            }
        }
        try configure(0, "ro", nil)
        try configure(6, nil, nil)
        for (path, stamp) in named where try FileStamp.of(path: path) != stamp {
            throw DFSError(
                .corrupt, "\(path) has changed while it was about to be mapped", hint: "dfs verify --data")
        }
        do {
            try System.call(what, fault: "mount") { clinux_fsmount_at(context.raw, mountpoint) }
        } catch { throw explained(error, path, log(of: context)) }
        for name in readAheads().subtracting(known) { raiseReadAhead(name) }
    }

    // MARK: Read-ahead

    private static let devices = "/sys/class/bdi"
    /// KiB. With the kernel's 128, pages come in pieces so small that mapped and random reads take up to four times as long
    /// as on ext4, even when all is cached (docs/PERFORMANCE.md).
    private static let readAhead = 1024

    /// The settings of all EROFS file systems on this host: which is whose cannot be told, but a new one is of a new mount.
    private static func readAheads() -> Set<String> {
        let names = (try? DirectoryListing.names(of: devices)) ?? []
        return Set(names.map { String(decoding: $0, as: UTF8.self) }.filter { $0.hasPrefix("erofs-") })
    }

    private static func raiseReadAhead(_ name: String) {
        let path = "\(devices)/\(name)/read_ahead_kb"
        guard let file = try? OwnedDescriptor.open(path, O_WRONLY) else { return }
        try? Files.write(Array("\(readAhead)".utf8), to: file.raw, what: path)
    }

    /// Lets this process have so many more files open, or as many as it may; returns how many.
    private static func allowDescriptors(_ count: Int) -> Int {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        getrlimit(resource, &limit)
        let needed = rlim_t(count + reserve)
        if limit.rlim_cur < needed {
            // Only the privileged may have more than the hard limit.
            for hard in [max(limit.rlim_max, needed), limit.rlim_max] {
                var wanted = rlimit(rlim_cur: min(needed, hard), rlim_max: hard)
                if setrlimit(resource, &wanted) == 0 { break }
            }
            getrlimit(resource, &limit)
        }
        return min(count, max(0, Int(clamping: limit.rlim_cur) - reserve))
    }

    /// Descriptors for all else.
    private static let reserve = 256

    /// The name of an open file.
    private static func path(of file: OwnedDescriptor) throws(DFSError) -> String {
        guard let path = Files.linkTarget("/proc/self/fd/\(file.raw)"), path.utf8.count < 250 else {
            throw DFSError(
                .cannotServe, "a file behind a sealed view has too long a path",
                cause: "there are more of them than this process may have open", hint: "ulimit -n 70000", errno: EMFILE)
        }
        return path
    }

    /// What the kernel has to say of a mount that it refused.
    private static func log(of context: OwnedDescriptor) -> String? {
        var lines = [String]()
        var buffer = [UInt8](repeating: 0, count: 4096)
        while lines.count < 8 {
            let count = read(context.raw, &buffer, buffer.count)
            guard count > 0 else { break }
            lines.append(String(decoding: buffer[..<count].filter { $0 != 0x0a }, as: UTF8.self))
        }
        return lines.isEmpty ? nil : lines.joined(separator: "; ")
    }

    private static func explained(_ error: DFSError, _ path: String, _ log: String?) -> DFSError {
        let directory = Files.parent(path)
        let (cause, hint): (String, String) =
            switch error.errno {
            case EPERM, EACCES: ("sealed views need root", "dfs mount")
            case ENODEV: ("this kernel has no EROFS", "modprobe erofs")
            case ENOTBLK, EOPNOTSUPP:
                (
                    "the kernel mounts no file of the file system that the cache is on, or is older than 6.12",
                    "export XDG_CACHE_HOME=/var/cache"
                )
            case EINVAL: ("the kernel refuses it", "dfs mount")
            default: (error.cause ?? error.what, "df -T \(directory)")
            }
        return DFSError(
            .cannotServe, error.what, cause: cause + (log.map { " (\($0))" } ?? ""), hint: hint, errno: error.errno)
    }
}
