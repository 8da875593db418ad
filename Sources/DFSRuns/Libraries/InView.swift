import CLinux
import DFSModel
import DFSSystem
import Glibc

/// Files of a job's view, by their paths in it.
enum InView {
    /// Links are followed as the job follows them. `root` is the view's root directory.
    static func open(_ path: String, _ root: OwnedDescriptor) -> OwnedDescriptor? {
        let place = clinux_open_in_root(root.raw, path)
        guard place >= 0 else { return nil }
        let held = OwnedDescriptor(adopting: place)
        return try? OwnedDescriptor.open("/proc/self/fd/\(held.raw)", O_RDONLY | O_NOCTTY)
    }
}
