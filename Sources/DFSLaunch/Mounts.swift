import CLinux
import DFSModel
import DFSSystem
import Glibc

/// mount(2) and its relatives on paths that are bytes. Errors name the path.
struct Mounts {
    /// The kernel is taken to be older than 5.12.
    let avoidsNewCalls: Bool

    /// Binds the tree under `source` (a descriptor's path, or a name in the working directory) at `target`.
    func bind(_ source: [UInt8], at target: RawPath) throws(DFSError) {
        try System.call("cannot bind \(NameText.display(source)) at \(target)", fault: "mount") {
            withCName(source) { source in
                withCName(target.bytes) { mount(source, $0, nil, UInt(MS_BIND | MS_REC), nil) }
            }
        }
    }

    func bind(_ source: OwnedDescriptor, named name: RawPath, at target: RawPath) throws(DFSError) {
        try System.call("cannot bind \(name) at \(target)", fault: "mount") {
            withCName(target.bytes) { mount(Self.path(of: source), $0, nil, UInt(MS_BIND | MS_REC), nil) }
        }
    }

    /// An empty tmpfs for directories and mountpoints, not for data.
    func tmpfs(at target: RawPath, mode: UInt16, limited: Bool = true) throws(DFSError) {
        let options = "mode=\(String(mode, radix: 8))" + (limited ? ",size=4m" : "")
        try System.call("cannot mount a tmpfs at \(target)", fault: "mount") {
            withCName(target.bytes) { mount("tmpfs", $0, "tmpfs", UInt(MS_NOSUID | MS_NODEV), options) }
        }
    }

    /// Makes the mount at `target` read-only; `recursive` also what is mounted in it.
    func makeReadOnly(_ target: RawPath, recursive: Bool) throws(DFSError) {
        if !avoidsNewCalls {
            let result = withCName(target.bytes) { clinux_mount_read_only($0, recursive ? 1 : 0) }
            if result == 0 { return }
            guard errno == ENOSYS else { throw System.error(errno, "cannot make \(target) read-only") }
        }
        for path in recursive ? try MountTable.own().paths(atOrBelow: target) : [target] {
            try System.call("cannot make \(path) read-only") { withCName(path.bytes) { clinux_remount_read_only($0) } }
        }
    }

    /// A name for an open file that mount(2) and mount options take, whatever characters its path has.
    static func path(of descriptor: OwnedDescriptor) -> String { "/proc/self/fd/\(descriptor.raw)" }
}
