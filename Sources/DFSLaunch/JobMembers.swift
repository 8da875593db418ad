import DFSModel
import DFSSystem
import Glibc

/// The living processes of a job, looked for again and again: those in its mount namespace, and what they have started.
///
/// Each process of the machine is examined once; later looks cost a listing of /proc. For one thread.
package final class JobMembers {
    private let namespace: String?
    private let launcher: Int32
    /// Children of the launcher that are not the job's.
    private let others: Set<Int32>
    /// What each process id was when it was examined.
    private var known: [Int32: Bool] = [:]
    private var looks = 0
    /// A process id can come again: those that are not the job's are examined again after so many looks.
    private static let memory = 32

    /// `root` is the job's first process. `namespace` is its mount namespace (`mnt:[…]`); one that is the caller's own
    /// tells nothing. `others` are children that the caller had before.
    package init(root: Int32, namespace: String, others: Set<Int32>) {
        self.namespace = namespace.isEmpty || namespace == JobProcesses.ownNamespace ? nil : namespace
        launcher = getpid()
        self.others = others
        known[root] = true
    }

    /// Children of this process now.
    package static func children() -> Set<Int32> {
        let own = getpid()
        return Set(pids().filter { (try? ProcessStat.read(pid: $0))??.parent == own })
    }

    private static func pids() -> [Int32] {
        ((try? DirectoryListing.names(of: "/proc")) ?? []).compactMap { name in
            guard let first = name.first, first >= 0x31, first <= 0x39 else { return nil }
            return Int32(String(decoding: name, as: UTF8.self))
        }
    }

    package func living() -> [Int32] {
        looks += 1
        if looks % Self.memory == 0 { known = known.filter(\.value) }
        let present = Self.pids()
        let here = Set(present)
        known = known.filter { here.contains($0.key) }
        var parents = [Int32: Int32]()
        for pid in present where known[pid] == nil {
            if let namespace, Files.linkTarget("/proc/\(pid)/ns/mnt") == namespace {
                known[pid] = true
            } else if let stat = try? ProcessStat.read(pid: pid) {
                parents[pid] = stat.parent
            }
        }
        settle(parents)
        return present.filter { known[$0] == true }
    }

    /// A child of a member is one. What lost its parent is the launcher's, which adopts it.
    private func settle(_ parents: [Int32: Int32]) {
        var open = parents
        while true {
            let found = open.filter { pid, parent in
                known[parent] == true || (parent == launcher && !others.contains(pid))
            }
            if found.isEmpty { break }
            for pid in found.keys {
                known[pid] = true
                open[pid] = nil
            }
        }
        for pid in open.keys { known[pid] = false }
    }
}
