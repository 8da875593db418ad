import CLinux
import DFSModel
import DFSSystem
import Glibc

/// Mountpoints that do not exist.
extension ViewBuilder {
    /// More children than this are not bound one by one: the kernel allows 100,000 mounts in a namespace.
    static let mirrorLimit = 10_000

    /// Sees to it that `target` exists in the view as a directory, or as a file.
    mutating func prepare(_ target: RawPath, isDirectory: Bool) throws(DFSError) {
        if let kind = try Self.kind(target) {
            guard (kind == .directory) == isDirectory else {
                throw DFSError(
                    .cannotServe, "cannot mount at \(target)",
                    cause: isDirectory ? "it is not a directory" : "it is a directory")
            }
            return
        }
        var ancestor = target.parent
        while try Self.kind(ancestor) == nil { ancestor = ancestor.parent }
        let missing = target.relative(to: ancestor) ?? []
        ancestor = try resolved(ancestor)
        switch policy(of: ancestor) {
        case .creatable: break
        case .mirrorable: try mirror(ancestor)
        case .fixed:
            throw DFSError(
                .cannotServe, "cannot mount at \(target)",
                cause: "it does not exist, and \(ancestor) is written to by the job", hint: "mkdir -p \(target)")
        }
        try Self.make(missing, in: ancestor, isDirectory: isDirectory)
    }

    func policy(of path: RawPath) -> Policy {
        var best: (at: RawPath, policy: Policy) = (RawPath("/"), .mirrorable)
        for region in regions
        where path.relative(to: region.at) != nil && region.at.bytes.count >= best.at.bytes.count {
            best = region
        }
        // What a mirror binds from the host is below it, and still the host's.
        if best.policy == .creatable, !Self.isOneFileSystem(path, best.at) { return .mirrorable }
        return best.policy
    }

    private static func isOneFileSystem(_ path: RawPath, _ other: RawPath) -> Bool {
        guard let a = try? status(path), let b = try? status(other) else { return false }
        return a.device == b.device
    }

    /// stat(2); `nil` when there is nothing, or a file is in the way.
    private static func status(_ path: RawPath) throws(DFSError) -> FileStatus? {
        var s = stat()
        if withCName(path.bytes, { stat($0, &s) }) == 0 { return FileStatus(s) }
        if errno == ENOENT || errno == ENOTDIR { return nil }
        throw System.error(errno, "cannot stat \(path) in the view")
    }

    /// What stands at a path, also where it does not answer: the root of a file system whose server is dead, or lets nobody
    /// but its user in, is still a directory that can be mounted over.
    private static func kind(_ path: RawPath) throws(DFSError) -> FileStatus.Kind? {
        do throws(DFSError) { return try status(path)?.kind } catch {
            guard error.errno == EACCES || error.errno == ENOTCONN else { throw error }
            let flags = clinux_O_PATH | O_DIRECTORY | O_NOFOLLOW
            guard (try? OwnedDescriptor.open(bytes: path.bytes, flags, at: AT_FDCWD)) != nil else { throw error }
            return .directory
        }
    }

    private static func make(_ relative: [UInt8], in base: RawPath, isDirectory: Bool) throws(DFSError) {
        var path = base
        let names = RawPath(relative).components
        for (i, name) in names.enumerated() {
            path = path.appending(name)
            if i == names.count - 1, !isDirectory { return try makeFile(path) }
            try System.call("cannot make directory \(path) in the view") { withCName(path.bytes) { mkdir($0, 0o755) } }
        }
    }

    private static func makeFile(_ path: RawPath) throws(DFSError) {
        _ = try OwnedDescriptor.open(bytes: path.bytes, O_WRONLY | O_CREAT | O_EXCL, mode: 0o444, at: AT_FDCWD)
    }

    /// Replaces a directory by a tmpfs into which all it holds is bound. Entries can no longer be made or removed in
    /// the directory itself, except in one that is anybody's scratch (mode 1777): there they are the job's alone.
    private mutating func mirror(_ directory: RawPath) throws(DFSError) {
        let source = try OwnedDescriptor.open(bytes: directory.bytes, O_RDONLY | O_DIRECTORY, at: AT_FDCWD)
        let status = try FileStatus.of(source)
        var children = [(name: [UInt8], type: UInt8)]()
        try DirectoryListing.forEach(in: source) { children.append(($0, $1)) }
        guard children.count <= Self.mirrorLimit else {
            throw DFSError(
                .cannotServe, "cannot add a mountpoint to \(directory)",
                cause: "it holds \(children.count) entries, more than \(Self.mirrorLimit)",
                hint: "ls \(directory)")
        }
        let isScratch = status.mode & 0o1007 == 0o1007
        if directory == "/" {
            try enterNewRoot()
        } else {
            try mounts.tmpfs(at: directory, mode: status.mode, limited: !isScratch)
        }
        // Not allowed to ordinary users, and then not needed: what is theirs is already, the rest cannot be.
        _ = withCName(directory.bytes) { chown($0, status.uid, status.gid) }
        try System.call("cannot enter \(directory)") { fchdir(source.raw) }
        for (name, type) in children { try mirrorChild(name, type: type, of: source, in: directory) }
        try System.call("cannot enter the root") { chdir("/") }
        regions.append((directory, .creatable))
        if !isScratch { sealed.append(directory) }
    }

    /// `source` is the working directory.
    private func mirrorChild(
        _ name: [UInt8], type: UInt8, of source: OwnedDescriptor, in directory: RawPath
    ) throws(DFSError) {
        var kind = type
        if Int(kind) == Int(DT_UNKNOWN) {
            guard let status = try FileStatus.of(name, at: source.raw) else { return }
            kind = UInt8(status.kind == .directory ? DT_DIR : status.kind == .symlink ? DT_LNK : DT_REG)
        }
        let target = directory.appending(name)
        switch Int(kind) {
        case Int(DT_LNK):
            let link = try Self.linkTarget(name, at: source.raw)
            try System.call("cannot make symlink \(target)") {
                withCName(link) { link in withCName(target.bytes) { Glibc.symlink(link, $0) } }
            }
            return
        case Int(DT_DIR): try Self.make(name, in: directory, isDirectory: true)
        default: try Self.makeFile(target)
        }
        do throws(DFSError) {
            try mounts.bind(name, at: target)
        } catch {
            // It was removed meanwhile.
            guard error.errno == ENOENT else { throw error }
        }
    }

    /// Makes an empty tmpfs the root. The host's root hangs in it until the end, because sources belong to its mounts.
    private mutating func enterNewRoot() throws(DFSError) {
        let place: RawPath = ["/tmp", "/run", "/usr"].first { Files.isDirectory($0) }.map { RawPath($0) } ?? "/proc"
        let name = ".dfs-host"
        try mounts.tmpfs(at: place, mode: 0o755)
        let old = place.appending(name)
        try System.call("cannot make directory \(old)") { withCName(old.bytes) { mkdir($0, 0o700) } }
        try System.call("cannot make a new root") {
            withCName(place.bytes) { new in withCName(old.bytes) { clinux_pivot_root(new, $0) } }
        }
        try System.call("cannot enter the new root") { chdir("/") }
        hostRoot = RawPath("/" + name)
    }
}
