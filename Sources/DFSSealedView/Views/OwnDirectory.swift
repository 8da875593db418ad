import DFSModel
import DFSSystem
import Glibc

/// Whether a folder holds only what this user, or root, can have put there: the kernel parses images with all its rights.
enum OwnDirectory {
    static func check(_ path: String) throws(DFSError) {
        var at = Files.resolved(path) ?? path
        while true {
            guard let status = try FileStatus.of(path: at, following: true) else { return }
            // In a sticky directory others cannot take away what is not theirs.
            let isOpen = status.mode & 0o022 != 0 && status.mode & 0o1000 == 0
            guard status.uid == 0 || status.uid == geteuid(), !isOpen else {
                throw DFSError(
                    .cannotServe, "no view is sealed with the cache in \(path)",
                    cause: "\(at) belongs to somebody else, or others may write to it",
                    hint: "export XDG_CACHE_HOME=/var/cache", errno: EPERM)
            }
            if at == "/" { return }
            at = Files.parent(at)
        }
    }
}
