import DFSFuse
import DFSHistory
import DFSModel
import DFSSystem
import DFSVirtual
import Glibc

/// The FUSE mount that one run's view is made of, at a private place of the host.
final class ViewServer {
    private let starting: ServerProcess.Starting?
    private var server: ServerProcess?
    let mountpoint: String
    private var isStopped = false
    /// Why there is none.
    private(set) var failure: DFSError?

    private init(starting: ServerProcess.Starting?, mountpoint: String, failure: DFSError?) {
        self.starting = starting
        self.mountpoint = mountpoint
        self.failure = failure
    }

    /// What the server notes for the run's record, and what it does not show.
    struct Noting {
        /// In the run's evidence folder, which is made later.
        let log: String
        let reads: Bool
        let denials: Denials
    }

    /// Starts serving; does not wait. A host without FUSE is no error: the data is copied then.
    static func start(
        run: RunID, repository: Repository, context: CommandContext, noting: Noting
    ) throws(DFSError) -> ViewServer {
        let mountpoint = try context.directories.views() + "/" + run.description
        do throws(DFSError) {
            try Files.makeDirectories(mountpoint, mode: 0o700)
            var request = ServeRequest(
                store: repository.root, cacheRoot: try context.directories.cache(), mountpoint: mountpoint)
            request.endsWithParent = true
            request.threads = 4
            (request.notesReads, request.denials) = (noting.reads, noting.denials)
            if noting.reads || !noting.denials.isEmpty { request.accessLog = noting.log }
            request.log = try context.directories.cache() + "/\(repository.id)/view.log"
            return ViewServer(
                starting: try ServerProcess.start(request), mountpoint: mountpoint, failure: nil)
        } catch { return ViewServer(starting: nil, mountpoint: mountpoint, failure: error) }
    }

    /// The mountpoint once it serves; `nil`, with `failure` set, when it cannot.
    func path() -> String? {
        if server != nil { return mountpoint }
        guard let starting, failure == nil else { return nil }
        do {
            server = try starting.waitUntilServing()
            return mountpoint
        } catch {
            failure = error
            return nil
        }
    }

    /// Ends serving, when all that it noted is written. Once is enough.
    func stop() {
        if isStopped { return }
        isStopped = true
        // One that has not answered yet may have mounted.
        (server ?? starting.map { ServerProcess(child: $0.child, mountpoint: mountpoint, server: $0.child.pid) })?
            .stop()
        rmdir(mountpoint)
    }

    /// Takes away what a launcher and its server left when they died together. Nothing is touched but a mount of ours in
    /// the directory of such mounts.
    static func clear(_ mountpoint: String, below views: String) {
        let path = MountTable.canonical(mountpoint)
        guard Files.parent(path) == MountTable.canonical(views) else { return }
        ServerProcess.unmount(path)
        rmdir(path)
    }
}
