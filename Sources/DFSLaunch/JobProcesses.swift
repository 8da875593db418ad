import DFSModel
import DFSSystem
import Glibc

/// The processes of a job are those in its mount namespace, whoever their parent is by now.
package enum JobProcesses {
    /// The link text of this process's mount namespace.
    package static var ownNamespace: String? { Files.linkTarget("/proc/self/ns/mnt") }

    /// Process ids in `namespace` (`mnt:[…]`). Those of other users are not seen.
    package static func living(in namespace: String) throws(DFSError) -> [Int32] {
        try DirectoryListing.names(of: "/proc").compactMap { name in
            let text = String(decoding: name, as: UTF8.self)
            guard let pid = Int32(text), Files.linkTarget("/proc/\(text)/ns/mnt") == namespace else { return nil }
            return pid
        }
    }

    /// Kills all of them, and what they start meanwhile. Refuses the caller's own namespace.
    package static func kill(in namespace: String) throws(DFSError) {
        guard namespace != ownNamespace else { return }
        // A process that is being killed can still have forked: until a look finds none.
        for _ in 0..<100 {
            let found = try living(in: namespace)
            if found.isEmpty { return }
            for pid in found { _ = Glibc.kill(pid, SIGKILL) }
            usleep(10_000)
        }
    }
}
