import CLinux
import DFSModel
import Glibc

/// What statfs(2) says of the file system that holds a path.
package enum FileSystemKind {
    /// The name of the network or userspace file system that holds `path`; `nil` for all others.
    ///
    /// On these, memory maps are not coherent between hosts and locks may reach one host only. FUSE counts: what is
    /// behind it cannot be known.
    package static func network(_ path: String) throws(DFSError) -> String? {
        let type = try System.call("cannot find the file system of \(path)") { clinux_filesystem_type(path) }
        return networkNames[UInt32(truncatingIfNeeded: type)]
    }

    private static let networkNames: [UInt32: String] = [
        0x6969: "NFS", 0xFF53_4D42: "CIFS", 0xFE53_4D42: "SMB", 0x517B: "SMB", 0x6573_5546: "FUSE",
        0x0BD0_0BD0: "Lustre", 0x4750_4653: "GPFS", 0x00C3_6400: "Ceph", 0x0102_1997: "9P", 0x5346_414F: "AFS",
        0x6B41_4653: "AFS", 0x7375_7245: "Coda", 0x7461_636F: "OCFS2", 0x0116_1970: "GFS2", 0x1983_0326: "BeeGFS",
        0xAAD7_AAEA: "PanFS", 0x2003_0528: "OrangeFS", 0x786F_4256: "VirtualBox share",
    ]

    /// Whether a device (`st_dev`) is a file system that shows something else than files that somebody put there: the
    /// kernel's own, and mounts of this program. `false` when the kernel does not tell.
    package static func isPseudo(device: UInt64) -> Bool {
        // gnu_dev_major and gnu_dev_minor of sys/sysmacros.h.
        let major = (device >> 8 & 0xfff) | (device >> 32 & 0xffff_f000)
        let minor = (device & 0xff) | (device >> 12 & 0xffff_ff00)
        guard let table = try? Files.read("/proc/self/mountinfo", limit: 64 << 20) else { return false }
        for line in String(decoding: table, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 6, fields[2] == "\(major):\(minor)", let dash = fields.firstIndex(of: "-"),
                dash + 1 < fields.count
            else { continue }
            return pseudoNames.contains(String(fields[dash + 1]))
        }
        return false
    }

    private static let pseudoNames: Set<String> = [
        "fuse.dfs", "proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs",
        "bpf",
        "mqueue", "pstore", "efivarfs", "configfs", "fusectl", "hugetlbfs", "binfmt_misc", "selinuxfs", "rpc_pipefs",
        "autofs", "nsfs",
    ]
}
