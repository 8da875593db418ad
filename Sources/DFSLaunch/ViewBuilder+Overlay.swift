import CLinux
import DFSModel
import DFSSystem
import Glibc

/// The writable layer over the code snapshot.
extension ViewBuilder {
    /// Mounts at `at` first a tmpfs with all mountpoints that later steps need there, then, over it, the overlay whose
    /// lowest layer it is. So mountpoints are not in `upper`, and nothing has to be kept elsewhere.
    mutating func overlay(at: RawPath, lower: [Source], layer: Source) throws(DFSError) {
        try prepare(at, isDirectory: true)
        try mounts.tmpfs(at: at, mode: 0o755)
        let skeleton = try OwnedDescriptor.open(bytes: at.bytes, O_RDONLY | O_DIRECTORY, at: AT_FDCWD)
        try fill(skeleton, at: at)
        try Self.makeLayer(in: layer, mode: lower.first?.status.mode ?? 0o755)

        let layers = (lower.map(\.descriptor) + [skeleton]).map { Mounts.path(of: $0) }.joined(separator: ":")
        let base = Mounts.path(of: layer.descriptor)
        // `upper` has to make sense by itself, whatever the kernel's defaults are; `userxattr` implies it.
        var options = isUserNamespace ? "userxattr," : "redirect_dir=off,metacopy=off,index=off,"
        options += "lowerdir=\(layers),upperdir=\(base)/upper,workdir=\(base)/work"
        try System.call("cannot mount an overlay at \(at)", fault: "mount") {
            withCName(at.bytes) { mount("overlay", $0, "overlay", 0, options) }
        }
        regions.append((try resolved(at), .fixed))
    }

    private static func makeLayer(in layer: Source, mode: UInt16) throws(DFSError) {
        for (name, mode) in [("upper", UInt32(mode) | 0o700), ("work", 0o700)] {
            let result = mkdirat(layer.descriptor.raw, name, mode)
            guard result == 0 || errno == EEXIST else {
                throw System.error(errno, "cannot make \(layer.path.appending(name))")
            }
            // Not subject to the umask: it is the mode of the project's directory in the view.
            if result == 0, name == "upper" { _ = fchmodat(layer.descriptor.raw, name, mode, 0) }
        }
    }

    /// Makes in the skeleton of the overlay at `at` what all steps of the plan will mount inside it.
    private func fill(_ skeleton: OwnedDescriptor, at: RawPath) throws(DFSError) {
        for (i, step) in steps.enumerated() {
            let source = sources[i]?.first
            switch step {
            case .skeleton(let path), .directory(let path), .overlay(let path, _, _):
                try make(path, at: at, in: skeleton, as: .directory)
            case .bind(_, let path, _):
                try make(path, at: at, in: skeleton, as: source?.status.kind ?? .directory)
            case .symlink(let path, let target):
                try make(path, at: at, in: skeleton, as: .symlink, link: target)
            case .visible(_, let base, let names):
                guard let raw = source?.descriptor.raw else { continue }
                for name in names {
                    guard let status = try FileStatus.of(name, at: raw) else { continue }
                    let link = status.kind == .symlink ? try Self.linkTarget(name, at: raw) : []
                    try make(base.appending(name), at: at, in: skeleton, as: status.kind, link: link)
                }
            }
        }
        try make(workingDirectory, at: at, in: skeleton, as: .directory)
    }

    /// Walks without following symlinks. What is in the way stays: the step that needs the place will say so, or find
    /// its way through a symlink.
    private func make(
        _ path: RawPath, at: RawPath, in skeleton: OwnedDescriptor, as kind: FileStatus.Kind, link: [UInt8] = []
    ) throws(DFSError) {
        guard let relative = path.relative(to: at), !relative.isEmpty else { return }
        var names = RawPath(relative).components
        guard let last = names.popLast() else { return }
        var directory = skeleton
        for name in names {
            _ = withCName(name) { mkdirat(directory.raw, $0, 0o755) }
            do throws(DFSError) {
                directory = try OwnedDescriptor.open(
                    bytes: name, clinux_O_PATH | O_DIRECTORY | O_NOFOLLOW, at: directory.raw)
            } catch {
                if error.errno == ENOTDIR || error.errno == ELOOP { return }
                throw error
            }
        }
        let result = withCName(last) { last in
            switch kind {
            case .directory: mkdirat(directory.raw, last, 0o755)
            case .symlink: withCName(link) { symlinkat($0, directory.raw, last) }
            default: Self.makeFile(last, in: directory.raw)
            }
        }
        guard result == 0 || errno == EEXIST else { throw System.error(errno, "cannot make mountpoint \(path)") }
    }

    private static func makeFile(_ name: UnsafePointer<CChar>, in directory: Int32) -> Int32 {
        let fd = clinux_openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o444)
        return fd < 0 ? -1 : close(fd)
    }
}
