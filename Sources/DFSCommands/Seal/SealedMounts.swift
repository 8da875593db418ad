import DFSFuse
import DFSHistory
import DFSLedger
import DFSModel
import DFSSealedView
import DFSSystem
import Glibc

/// Sealed views as this host has them mounted: one file system for each image, at a place of its own, from which whoever
/// wants to see it binds it. A keeper (`Keeper`) takes it away when nobody uses it.
struct SealedMounts {
    let repository: Repository
    let views: SealedViews
    /// Where the file systems are mounted.
    let directory: String

    /// Why this host cannot have sealed views, before anything is tried.
    static func obstacle() -> DFSError? {
        guard geteuid() == 0 else {
            return DFSError(
                .cannotServe, "a sealed view cannot be mounted", cause: "only root may mount an image",
                hint: "dfs mount", errno: EPERM)
        }
        return nil
    }

    /// The place where `view` is mounted; mounts it if it is not. `linger`: seconds that it stays when nobody uses it.
    func attach(_ view: SealedView, sequence: UInt64, linger: Int) throws(DFSError) -> String {
        try Files.makeDirectories(directory, mode: 0o700)
        let base = MountTable.canonical(directory + "/" + view.key)
        // Whoever else wants it at this moment waits, and finds it mounted.
        let mounting = try ViewLock(path: base + ".mounting")
        try mounting.take(.exclusive)
        defer { withExtendedLifetime(mounting) {} }
        let request = Keeper.Request(
            store: repository.root, mountpoint: base, image: view.imagePath, lock: view.lockPath, sequence: sequence,
            linger: linger)
        if try Self.isMounted(view.imagePath, at: base) {
            // A keeper that was killed has left the mount to nobody.
            if try Keeper.identity(base)?.liveness() ?? .dead == .dead { try Keeper.start(request) }
            return base
        }
        try Files.makeDirectories(base, mode: 0o700)
        try view.mount(at: base, directIO: MemoryLimit.isTight(for: view.manifest.bytesInFiles))
        do throws(DFSError) {
            try Keeper.start(request)
        } catch {
            try? MountTable.unmount(base, lazy: true)
            throw error
        }
        return base
    }

    /// Whether a mount is a sealed view: an image out of a cache of this program's.
    static func isSealed(_ mount: MountTable.Mount) -> Bool {
        mount.type == "erofs" && mount.fsname.hasSuffix(".erofs") && mount.fsname.contains("/views/")
    }

    static func isMounted(_ image: String, at path: String) throws(DFSError) -> Bool {
        guard let mount = try MountTable.mount(at: path) else { return false }
        return mount.type == "erofs" && mount.fsname == image
    }
}

extension SealedViews {
    /// As `prepare`, and tells how far it is.
    func prepare(
        _ subject: ViewSubject, limits: Limits = Limits(), shownBy progress: DFSCommands.Progress, as name: String
    ) throws(DFSError) -> SealedView {
        try progress.track("seal \(name)") { activity throws(DFSError) in
            activity.expectedFiles.increment(by: Int(clamping: subject.tree.files))
            return try self.prepare(
                subject, limits: limits,
                progress: .init(
                    entries: activity.files, checkedBytes: activity.bytes, expectedBytes: activity.expectedBytes))
        }
    }
}

extension CommandContext {
    func sealedMounts(_ repository: Repository) throws(DFSError) -> SealedMounts {
        SealedMounts(
            repository: repository,
            views: SealedViews(repository: repository, limit: try cacheLimit(), threads: jobs),
            directory: try directories.runtime() + "/sealed")
    }
}

extension ViewSubject {
    /// What a reference names, if that is a whole version or snapshot.
    init?(_ target: Target) {
        switch target.reference {
        case .dataset(_, _, let path), .code(_, _, let path), .run(_, let path):
            guard path.isEmpty else { return nil }
        }
        switch target.resolved.subject {
        case .version(let dataset, let version): self.init(version, of: dataset)
        case .snapshot(_, let snapshot): self.init(tree: snapshot.tree, modified: snapshot.time)
        case .run: return nil
        }
    }

    init(_ version: VersionRecord, of dataset: String) {
        self.init(tree: version.tree, modified: version.time, dataset: dataset, version: version.number)
    }
}
