import CLinux
import DFSModel
import DFSSystem
import Glibc

/// Files of a job's view, by their paths in it.
enum InView {
    /// Links are followed as the job follows them. `root` is the view's root directory. `nil` of what is no regular file.
    static func open(_ path: String, _ root: OwnedDescriptor) -> OwnedDescriptor? {
        let place = clinux_open_in_root(root.raw, path)
        return place < 0 ? nil : regular(OwnedDescriptor(adopting: place))
    }

    /// A file of the host, or of a process below its `/proc/<pid>/root`. `nil` of what is no regular file.
    static func open(host path: [UInt8]) -> OwnedDescriptor? {
        (try? OwnedDescriptor.open(bytes: path, clinux_O_PATH, at: AT_FDCWD)).flatMap(regular)
    }

    /// To open a FIFO would wait for its writer, and to open a device may do something.
    private static func regular(_ held: OwnedDescriptor) -> OwnedDescriptor? {
        guard (try? FileStatus.of(held))?.kind == .file else { return nil }
        return try? OwnedDescriptor.open("/proc/self/fd/\(held.raw)", O_RDONLY | O_NONBLOCK | O_NOCTTY)
    }
}
