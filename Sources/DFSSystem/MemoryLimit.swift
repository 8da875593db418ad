import DFSModel
import Glibc

/// How much memory this process and its children may have: that of the machine, or less in a cgroup.
package enum MemoryLimit {
    /// Whether data of so many bytes would crowd the page cache if it were in there twice: once as packs, once as files of a
    /// mount.
    package static func isTight(for bytes: UInt64) -> Bool { Double(bytes) > 0.4 * Double(current()) }

    /// Bytes.
    package static func current() -> UInt64 {
        let machine = UInt64(max(0, sysconf(Int32(_SC_PHYS_PAGES)))) * UInt64(max(0, sysconf(Int32(_SC_PAGESIZE))))
        guard let bytes = try? Files.read("/proc/self/cgroup", limit: 1 << 16) else { return machine }
        return min(machine, of(cgroups: String(decoding: bytes, as: UTF8.self), root: "/sys/fs/cgroup"))
    }

    /// The least of the limits from a cgroup upwards, of version 2 (`0::/path`) or 1 (`4:memory:/path`); `.max` where there is
    /// none.
    package static func of(cgroups: String, root: String) -> UInt64 {
        var limit = UInt64.max
        for line in cgroups.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            if fields[0] == "0", fields[1].isEmpty {
                limit = min(limit, least(root, String(fields[2]), "memory.max"))
            } else if fields[1].split(separator: ",").contains("memory") {
                limit = min(limit, least(root + "/memory", String(fields[2]), "memory.limit_in_bytes"))
            }
        }
        return limit
    }

    private static func least(_ root: String, _ path: String, _ name: String) -> UInt64 {
        var path = path, limit = UInt64.max
        while true {
            if let text = try? Files.read("\(root)\(path)/\(name)", limit: 64),
                let value = UInt64(String(decoding: text.prefix { $0 != 0x0a }, as: UTF8.self))
            {
                limit = min(limit, value)
            }
            guard let slash = path.lastIndex(of: "/"), path != "/", !path.isEmpty else { return limit }
            path = String(path[..<slash])
        }
    }
}
