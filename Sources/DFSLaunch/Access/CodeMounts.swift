import DFSModel
import DFSSystem

/// The mounts of a view in which programs and modules may lie.
package enum CodeMounts {
    /// File systems without files that anybody would run.
    private static let others: Set<String> = [
        "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "pstore", "bpf",
        "fusectl", "configfs", "hugetlbfs", "efivarfs", "autofs", "binfmt_misc", "rpc_pipefs", "devtmpfs", "nsfs",
    ]

    /// Mountpoints in the mount namespace of a process, without those at or below `excluded`.
    package static func all(of pid: Int32, besides excluded: [String]) throws(DFSError) -> [RawPath] {
        let table = MountTable(text: try Files.read("/proc/\(pid)/mountinfo", limit: 1 << 26) ?? [])
        let excluded = excluded.map { RawPath($0) }
        let places = table.mounts.filter { mount in
            !others.contains(mount.fileSystem) && !excluded.contains { mount.path.relative(to: $0) != nil }
        }
        return Array(Set(places.map(\.path)))
    }
}
