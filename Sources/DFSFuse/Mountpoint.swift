import DFSModel
import DFSSystem
import Glibc

package enum Mountpoint {
    /// Throws why nothing can be mounted on `path`, which is as `MountTable.canonical` gives it. `fsname`: what is to be mounted.
    package static func check(_ path: String, fsname: String) throws(DFSError) {
        if let mount = try MountTable.mount(at: path), mount.type.hasPrefix("fuse") || mount.type == "erofs" {
            let what = mount.fsname == fsname ? "it is this store's" : "it is \(mount.fsname)"
            throw DFSError(
                .operational, "\(path) is a mount already", cause: what, hint: "dfs umount \(path)", errno: EBUSY)
        }
        guard let status = try FileStatus.of(path: path, following: true) else {
            throw DFSError(
                .operational, "there is no directory \(path) to mount on", hint: "mkdir -p \(path)", errno: ENOENT)
        }
        guard status.kind == .directory else {
            throw DFSError(.operational, "cannot mount on \(path)", cause: "it is not a directory", errno: ENOTDIR)
        }
        guard try DirectoryListing.names(of: path).isEmpty else {
            throw DFSError(
                .operational, "cannot mount on \(path)", cause: "it is not empty", hint: "ls -A \(path)",
                errno: ENOTEMPTY)
        }
    }
}
