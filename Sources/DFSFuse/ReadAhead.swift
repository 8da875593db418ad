import DFSSystem
import Glibc

/// The mount's read-ahead window. The kernel cuts reads to it, and starts with 128 KiB.
enum ReadAhead {
    /// Needs root; without, nothing happens.
    static func raise(mountpoint: String, kibibytes: Int) {
        guard kibibytes > 0, let mount = try? MountTable.mount(at: mountpoint) else { return }
        let path = "/sys/class/bdi/0:\(mount.connection)/read_ahead_kb"
        guard let file = try? OwnedDescriptor.open(path, O_WRONLY) else { return }
        try? Files.write(Array("\(kibibytes)".utf8), to: file.raw, what: path)
    }
}
