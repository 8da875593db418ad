import CLinux
import DFSModel
import DFSSystem
import Glibc

/// What this host allows the caller to do for a run.
package struct Capabilities: Sendable, Equatable {
    package enum Finding: Sendable, Equatable {
        case usable
        case unusable(reason: String)

        package var isUsable: Bool { self == .usable }
        package var reason: String? { if case .unusable(let reason) = self { reason } else { nil } }
    }

    package let isRoot: Bool
    /// A mount namespace without a user namespace.
    package let mountNamespace: Finding
    package let userNamespace: Finding
    /// A writable layer kept in the directory that was probed, in the better of the two namespaces.
    package let overlay: Finding
    package let fuseDevice: Finding
    package let fusermount: Finding

    /// The namespace to make a view in.
    package var namespace: EnterPlan.Namespace {
        mountNamespace.isUsable ? .mount : userNamespace.isUsable ? .user : .none
    }

    package var json: JSONValue {
        func text(_ finding: Finding) -> JSONValue { .string(finding.reason.map { "no: \($0)" } ?? "yes") }
        return [
            "root": .bool(isRoot), "mountNamespace": text(mountNamespace), "userNamespace": text(userNamespace),
            "overlay": text(overlay), "fuseDevice": text(fuseDevice), "fusermount": text(fusermount),
        ]
    }

    /// Tries it, in child processes of a few system calls. `scratch` is an existing directory on the file system that
    /// will hold writable layers (a directory is made in it and removed); `path` is where programs are looked for.
    package static func probe(scratch: String, path: String) -> Capabilities {
        let layer = Layer(in: scratch)
        defer { layer.remove() }
        let mount = Attempt(user: false, layer: layer)
        // Not tried where the first is good: it costs a fork, and the first is better.
        let user = mount.namespace.isUsable ? nil : Attempt(user: true, layer: layer)
        return Capabilities(
            isRoot: geteuid() == 0, mountNamespace: mount.namespace,
            userNamespace: user?.namespace ?? .unusable(reason: "not tried: a mount namespace does"),
            overlay: (user ?? mount).overlay, fuseDevice: fuseDevice(), fusermount: fusermount(path: path))
    }

    private static func fuseDevice() -> Finding {
        let fd = clinux_openat(AT_FDCWD, "/dev/fuse", O_RDWR | O_CLOEXEC, 0)
        if fd < 0 { return .unusable(reason: "/dev/fuse: " + String(cString: strerror(errno))) }
        close(fd)
        return .usable
    }

    private static func fusermount(path: String) -> Finding {
        for directory in path.split(separator: ":") {
            let file = "\(directory)/fusermount3"
            guard access(file, X_OK) == 0, let status = try? FileStatus.of(path: file, following: true) else {
                continue
            }
            let isPrivileged = geteuid() == 0 || (status.mode & 0o4000 != 0 && status.uid == 0)
            return isPrivileged ? .usable : .unusable(reason: "\(file) is not setuid root")
        }
        return .unusable(reason: "fusermount3 is not in \(path)")
    }
}

/// Directories for an overlay that is mounted only in a probing child.
private struct Layer {
    let base: String
    let problem: DFSError?

    init(in scratch: String) {
        let base = scratch + "/.dfs-probe-" + Randomness.hex(bytes: 6)
        self.base = base
        do throws(DFSError) {
            for name in ["", "/lower", "/upper", "/work"] {
                try System.call("cannot make \(base)\(name)", fault: "mkdir") { mkdir(base + name, 0o700) }
            }
            problem = nil
        } catch { problem = error }
    }

    func remove() { try? Files.removeTree(base) }
}

private struct Attempt {
    let namespace: Capabilities.Finding
    let overlay: Capabilities.Finding

    init(user: Bool, layer: Layer) {
        var probe = clinux_namespace_probe()
        guard clinux_probe_namespace(user ? 1 : 0, layer.problem == nil ? layer.base : nil, &probe) == 0 else {
            namespace = .unusable(reason: "cannot start a process: " + String(cString: strerror(errno)))
            overlay = .unusable(reason: "no namespace")
            return
        }
        if let reason = Self.reason(probe, user: user) {
            namespace = .unusable(reason: reason)
            overlay = .unusable(reason: "no namespace to mount it in")
            return
        }
        namespace = .usable
        if let problem = layer.problem {
            overlay = .unusable(reason: "\(problem.what): \(problem.cause ?? "")")
        } else if probe.overlay_error != 0 {
            overlay = .unusable(
                reason: "the kernel refuses one in \(Files.parent(layer.base)): "
                    + String(cString: strerror(probe.overlay_error)))
        } else {
            overlay = .usable
        }
    }

    private static func reason(_ probe: clinux_namespace_probe, user: Bool) -> String? {
        let (code, call) =
            probe.unshare_error != 0
            ? (probe.unshare_error, "unshare")
            : probe.map_error != 0
                ? (probe.map_error, "uid_map")
                : (probe.mount_error, "mount")
        if code == 0 { return nil }
        var text = "\(call): " + String(cString: strerror(code))
        guard user else { return text }
        let switches = [
            ("/proc/sys/user/max_user_namespaces", "0"), ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
            ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
        ]
        for (path, off) in switches {
            guard let bytes = try? Files.read(path), let value = bytes.split(separator: UInt8(ascii: "\n")).first,
                value.elementsEqual(off.utf8)
            else { continue }
            text += " (\(path) is \(off))"
        }
        return text
    }
}
