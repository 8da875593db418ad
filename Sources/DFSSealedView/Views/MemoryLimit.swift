import DFSModel
import DFSSystem
import Glibc

/// How much memory this process and its children may have: that of the machine, or less in a cgroup.
package enum MemoryLimit {
    /// Whether data of so many bytes would crowd the page cache if it were in there twice: once as packs, once as files of the
    /// view.
    package static func isTight(for bytes: UInt64) -> Bool { Double(bytes) > 0.4 * Double(current()) }

    /// Bytes.
    static func current() -> UInt64 {
        let machine = UInt64(max(0, sysconf(Int32(_SC_PHYS_PAGES)))) * UInt64(max(0, sysconf(Int32(_SC_PAGESIZE))))
        guard let bytes = try? Files.read("/proc/self/cgroup", limit: 1 << 16) else { return machine }
        return min(machine, of(cgroups: String(decoding: bytes, as: UTF8.self), root: "/sys/fs/cgroup"))
    }

    /// The least of the limits from a cgroup (version 2) upwards; `.max` where there is none.
    static func of(cgroups: String, root: String) -> UInt64 {
        guard let line = cgroups.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }) else { return .max }
        var path = String(line.dropFirst(3))
        var limit = UInt64.max
        while true {
            if let text = try? Files.read(root + path + "/memory.max", limit: 64),
                let value = UInt64(String(decoding: text.prefix { $0 != 0x0a }, as: UTF8.self))
            {
                limit = min(limit, value)
            }
            guard let slash = path.lastIndex(of: "/"), path != "/", !path.isEmpty else { return limit }
            path = String(path[..<slash])
        }
    }
}
