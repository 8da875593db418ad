import DFSModel
import DFSSystem
import Glibc

/// The processes of a job are those in its mount namespace, whoever their parent is by now.
package enum JobProcesses {
    /// The link text of this process's mount namespace.
    package static var ownNamespace: String? { Files.linkTarget("/proc/self/ns/mnt") }

    /// A symlink of one job's view. The kernel gives the number of a namespace that is gone to the next one, so a number
    /// that was written down says nothing of whose processes are in it now.
    package struct Mark: Sendable {
        let link: String
        let target: String

        package init(link: String, target: String) {
            self.link = link
            self.target = target
        }

        fileprivate func isSeen(by pid: Int32) -> Bool { Files.linkTarget("/proc/\(pid)/root" + link) == target }
    }

    /// Process ids in `namespace` (`mnt:[…]`), of those that see `mark`. Those of other users are not seen. Without a mark
    /// somebody has to hold the namespace.
    package static func living(in namespace: String, seeing mark: Mark? = nil) throws(DFSError) -> [Int32] {
        try DirectoryListing.names(of: "/proc").compactMap { name in
            let text = String(decoding: name, as: UTF8.self)
            guard let pid = Int32(text), Files.linkTarget("/proc/\(text)/ns/mnt") == namespace,
                mark?.isSeen(by: pid) != false
            else { return nil }
            return pid
        }
    }

    /// Kills all of them, and what they start meanwhile. Refuses the caller's own namespace.
    package static func kill(in namespace: String, seeing mark: Mark? = nil) throws(DFSError) {
        guard namespace != ownNamespace else { return }
        // A process that is being killed can still have forked: until a look finds none.
        for _ in 0..<100 {
            let found = try living(in: namespace, seeing: mark)
            if found.isEmpty { return }
            for pid in found { _ = Glibc.kill(pid, SIGKILL) }
            usleep(10_000)
        }
    }
}
