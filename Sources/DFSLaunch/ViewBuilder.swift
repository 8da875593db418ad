import CLinux
import DFSModel
import DFSSystem
import Glibc

/// Builds the job's view in a mount namespace that only this process is in. It changes the working directory.
///
/// Nothing is created on the host's file systems: a mountpoint that does not exist is made in a tmpfs of ours, and
/// where there is none, its deepest existing ancestor is replaced by one (see `mirror`).
struct ViewBuilder {
    /// Whether mountpoints may be made in a directory. The innermost region that holds it decides; outside all
    /// regions is the host.
    enum Policy {
        case creatable
        /// Made in a mirror of the directory.
        case mirrorable
        /// The job writes here: neither what we make nor a mirror is right.
        case fixed
    }

    let steps: [EnterPlan.Step]
    let mounts: Mounts
    let isUserNamespace: Bool
    let workingDirectory: RawPath
    /// What the steps' sources were when nothing was covered yet.
    var sources: [Int: [Source]] = [:]
    var regions: [(at: RawPath, policy: Policy)] = []
    /// Tmpfs mounts that become read-only at the end.
    var sealed: [RawPath] = []
    /// Where the host's root hangs when the view has a new one.
    var hostRoot: RawPath?

    struct Source {
        let descriptor: OwnedDescriptor
        let path: RawPath
        let status: FileStatus
        var isDirectory: Bool { status.kind == .directory }
    }

    init(_ plan: EnterPlan) {
        steps = plan.steps
        mounts = Mounts(avoidsNewCalls: plan.avoidsNewCalls)
        isUserNamespace = plan.namespace == .user
        workingDirectory = plan.workingDirectory
    }

    mutating func build() throws(EnterFailure) {
        // The job may be another user, who has to get through.
        let mask = umask(0o022)
        defer { umask(mask) }
        try EnterFailure.at(.mount) { () throws(DFSError) in try openSources() }
        for (i, step) in steps.enumerated() {
            let stage: EnterFailure.Stage = if case .overlay = step { .overlay } else { .mount }
            try EnterFailure.at(stage) { () throws(DFSError) in try perform(step, sources: sources[i] ?? []) }
        }
        try EnterFailure.at(.mount) { () throws(DFSError) in try seal() }
    }

    private mutating func openSources() throws(DFSError) {
        for (i, step) in steps.enumerated() {
            var opened = [Source]()
            switch step {
            case .skeleton, .directory, .symlink: break
            case .bind(let source, _, _): opened.append(try open(source, directory: false))
            case .visible(let real, _, _): opened.append(try open(real))
            case .overlay(_, let lower, let layer):
                for path in lower + [layer] { opened.append(try open(path)) }
            }
            sources[i] = opened
        }
    }

    private func open(_ path: RawPath, directory: Bool = true) throws(DFSError) -> Source {
        let descriptor = try OwnedDescriptor.open(
            bytes: path.bytes, clinux_O_PATH | (directory ? O_DIRECTORY : 0), at: AT_FDCWD)
        return Source(descriptor: descriptor, path: path, status: try FileStatus.of(descriptor))
    }

    private mutating func perform(_ step: EnterPlan.Step, sources: [Source]) throws(DFSError) {
        switch step {
        case .skeleton(let at):
            try prepare(at, isDirectory: true)
            try mounts.tmpfs(at: at, mode: 0o755)
            regions.append((try resolved(at), .creatable))
            sealed.append(try resolved(at))
        case .directory(let at): try prepare(at, isDirectory: true)
        case .symlink(let at, let target): try symlink(at, target: target)
        case .bind(_, let at, let access):
            guard let source = sources.first else { return }
            try bind(source, at: at, access)
        case .visible(_, let at, let paths):
            guard let real = sources.first else { return }
            for path in paths { try makeVisible(path, of: real, at: at) }
        case .overlay(let at, _, _):
            guard let layer = sources.last else { return }
            try overlay(at: at, lower: Array(sources.dropLast()), layer: layer)
        }
    }

    private mutating func bind(_ source: Source, at: RawPath, _ access: EnterPlan.Access) throws(DFSError) {
        try prepare(at, isDirectory: source.isDirectory)
        try mounts.bind(source.descriptor, named: source.path, at: at)
        if access == .readOnly { try mounts.makeReadOnly(at, recursive: true) }
        let policy: Policy =
            switch access {
            case .readOnly: .mirrorable
            case .writable: .fixed
            case .scratch: .creatable
            }
        regions.append((try resolved(at), policy))
    }

    private mutating func symlink(_ at: RawPath, target: [UInt8]) throws(DFSError) {
        try prepare(at.parent, isDirectory: true)
        let parent = try resolved(at.parent)
        guard policy(of: parent) == .creatable else {
            throw DFSError(.cannotServe, "cannot make symlink \(at) in the view", cause: "\(parent) is not part of it")
        }
        try System.call("cannot make symlink \(at) in the view") {
            withCName(target) { target in withCName(at.bytes) { Glibc.symlink(target, $0) } }
        }
    }

    /// One ignored path of the project, as it is, read-only. Where there is none there is nothing to do.
    private mutating func makeVisible(_ path: [UInt8], of real: Source, at: RawPath) throws(DFSError) {
        let raw = real.descriptor.raw
        guard let status = try FileStatus.of(path, at: raw) else { return }
        let target = at.appending(path)
        if status.kind == .symlink {
            // An overlay's skeleton has it already.
            if try FileStatus.of(target.bytes, at: AT_FDCWD) != nil { return }
            return try symlink(target, target: try Self.linkTarget(path, at: raw))
        }
        let descriptor = try OwnedDescriptor.open(bytes: path, clinux_O_PATH | O_NOFOLLOW, at: raw)
        let source = Source(descriptor: descriptor, path: real.path.appending(path), status: status)
        try bind(source, at: target, .readOnly)
    }

    private func seal() throws(DFSError) {
        if let hostRoot {
            try System.call("cannot leave the host's root") {
                withCName(hostRoot.bytes) { umount2($0, Int32(MNT_DETACH)) }
            }
            try System.call("cannot remove \(hostRoot)") { withCName(hostRoot.bytes) { rmdir($0) } }
        }
        for path in sealed { try mounts.makeReadOnly(path, recursive: false) }
    }

    /// realpath(3) in the view.
    func resolved(_ path: RawPath) throws(DFSError) -> RawPath {
        guard let raw = withCName(path.bytes, { realpath($0, nil) }) else {
            throw System.error(errno, "cannot resolve \(path) in the view")
        }
        defer { free(raw) }
        return RawPath(UnsafeBufferPointer(start: raw, count: strlen(raw)).map { UInt8(bitPattern: $0) })
    }

    static func linkTarget(_ name: [UInt8], at directory: Int32) throws(DFSError) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = try System.call("cannot read symlink \(NameText.display(name))") {
            withCName(name) { readlinkat(directory, $0, &buffer, buffer.count) }
        }
        return buffer.prefix(length).map { UInt8(bitPattern: $0) }
    }
}

extension EnterFailure {
    static func at<T>(_ stage: Stage, _ body: () throws(DFSError) -> T) throws(EnterFailure) -> T {
        do { return try body() } catch { throw EnterFailure(stage, error) }
    }
}
