import CLinux
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

    /// The first Linux that mounts images from files.
    private static let kernel = KernelVersion(major: 6, minor: 12)

    /// Why this host cannot have sealed views, before anything is made for them. `cache`: where images would be.
    static func obstacle(cache: String) -> DFSError? {
        func no(_ cause: String, _ hint: String) -> DFSError {
            DFSError(.cannotServe, "a sealed view cannot be mounted", cause: cause, hint: hint, errno: EPERM)
        }
        guard geteuid() == 0, ServingFacts.hasPrivilege() else {
            return no("only root may mount an image", "dfs mount")
        }
        let running = KernelVersion.running()
        guard running >= kernel else { return no("it needs Linux \(kernel), this is \(running)", "dfs mount") }
        var place = cache
        while !Files.exists(place), place != "/" { place = Files.parent(place) }
        // tmpfs, ramfs and overlayfs: the kernel mounts no image that lies there.
        guard ![0x0102_1994, 0x8584_58f6, 0x794c_7630].contains(clinux_filesystem_type(place)) else {
            return no(
                "the kernel mounts no file of the file system that \(place) is on", "export XDG_CACHE_HOME=/var/cache")
        }
        return nil
    }

    /// A view that is mounted, and that stays so while this value lives.
    final class Attachment: Sendable {
        let base: String
        private let view: SealedView
        private let use: ViewLock

        init(base: String, view: SealedView, use: ViewLock) {
            self.base = base
            self.view = view
            self.use = use
        }
    }

    /// The lock that users of the file system at `base` hold; beside the image, where it need not be removed.
    static func useLock(base: String, image: String) -> String {
        Files.parent(image) + "/" + (base.split(separator: "/").last ?? "") + ".use"
    }

    /// Mounts `view` if it is not. `linger`: seconds that it stays when nobody uses it.
    func attach(_ view: SealedView, sequence: UInt64, linger: Int) throws(DFSError) -> Attachment {
        try Files.makeDirectories(directory, mode: 0o700)
        let base = MountTable.canonical("\(directory)/\(view.key)-\(try view.identity())")
        // Whoever else wants it at this moment waits, and finds it mounted.
        let mounting = try ViewLock(path: base + ".mounting")
        try mounting.take(.exclusive)
        defer { withExtendedLifetime(mounting) {} }
        // A keeper that is taking it away at this moment is waited for.
        let use = try ViewLock(path: Self.useLock(base: base, image: view.imagePath))
        try use.take(.shared)
        let attachment = Attachment(base: base, view: view, use: use)
        let request = Keeper.Request(
            store: repository.root, mountpoint: base, image: view.imagePath, lock: view.lockPath, sequence: sequence,
            linger: linger)
        if try Self.isMounted(view.imagePath, at: base) {
            // A keeper that was killed has left the mount to nobody.
            if try Keeper.identity(base)?.liveness() ?? .dead == .dead { try Keeper.start(request) }
            return attachment
        }
        try Files.makeDirectories(base, mode: 0o700)
        try view.mount(at: base, directIO: MemoryLimit.isTight(for: view.manifest.bytesInFiles))
        do throws(DFSError) {
            try Keeper.start(request)
        } catch {
            try? MountTable.unmount(base, lazy: true)
            throw error
        }
        return attachment
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
    init?(_ target: Target, rootMask: UInt16 = 0o700) {
        switch target.reference {
        case .dataset(_, _, let path), .code(_, _, let path), .run(_, let path):
            guard path.isEmpty else { return nil }
        }
        switch target.resolved.subject {
        case .version(let dataset, let version): self.init(version, of: dataset, rootMask: rootMask)
        case .snapshot(_, let snapshot): self.init(tree: snapshot.tree, modified: snapshot.time, rootMask: rootMask)
        case .run: return nil
        }
    }

    init(_ version: VersionRecord, of dataset: String, rootMask: UInt16 = 0o700) {
        self.init(
            tree: version.tree, modified: version.time, dataset: dataset, version: version.number, rootMask: rootMask)
    }
}
