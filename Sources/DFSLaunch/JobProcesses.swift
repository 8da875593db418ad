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
        try end(grace: 0) { () throws(DFSError) in try living(in: namespace, seeing: mark) }
    }

    /// Asks those that `find` names to end, and after `grace` nanoseconds kills them, until it names none. Those that
    /// cannot be killed (of another user) are left a second later. Returns whom it found.
    @discardableResult
    static func end(grace: UInt64, _ find: () throws(DFSError) -> [Int32]) throws(DFSError) -> [Orphan] {
        var living = try find()
        var found = living.map { Orphan(pid: $0) }
        var asked = Set<Int32>()
        let start = Clock.monotonic()
        while !living.isEmpty {
            let elapsed = Clock.monotonic() - start
            if elapsed > grace + 1_000_000_000 { break }
            // A process that is being killed can still have forked: until a look finds none.
            for pid in living where elapsed >= grace || asked.insert(pid).inserted {
                if !found.contains(where: { $0.pid == pid }) { found.append(Orphan(pid: pid)) }
                if elapsed >= grace, let i = found.firstIndex(where: { $0.pid == pid }) { found[i].wasKilled = true }
                _ = Glibc.kill(pid, elapsed >= grace ? SIGKILL : SIGTERM)
            }
            usleep(10_000)
            living = try find()
        }
        return found
    }
}
