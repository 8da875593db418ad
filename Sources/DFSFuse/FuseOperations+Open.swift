import CFuse3
import DFSModel
import DFSVirtual
import Glibc
import Synchronization

extension FuseOperations {
    static func addOpening(_ table: inout fuse_lowlevel_ops) {
        table.open = { request, node, file in FuseOperations.open(request, node, file) }
        table.release = { request, node, _ in FuseOperations.release(request, node) }
        table.opendir = { request, node, file in FuseOperations.openDirectory(request, node, file) }
    }

    private static func open(
        _ request: fuse_req_t?, _ node: fuse_ino_t, _ file: UnsafeMutablePointer<fuse_file_info>?
    ) {
        guard let request, let context = FuseContext.of(request) else { return }
        let id = NodeID(raw: node)
        let reply = FuseReply(request, context, .open, id)
        context.count(.open, id)
        // ENOSYS tells the kernel never to ask again.
        guard context.mode != .stateless, let file else { return reply.fail(ENOSYS) }
        guard file.pointee.flags & O_ACCMODE == O_RDONLY else { return reply.fail(EROFS) }
        do throws(DFSError) {
            file.pointee.keep_cache = try context.tree.attributes(of: id).lifetime == .none ? 0 : 1
            file.pointee.noflush = 1
        } catch {
            return reply.fail(error)
        }
        context.tree.noteOpen(id)
        guard context.mode == .passthrough else {
            _ = reply.opened(file)
            return
        }
        // What cannot be found is read through the server, which says what is wrong.
        let backing = context.backing.open(node) { (try? context.tree.backing(of: id)) ?? nil }
        let isTaken: Bool
        if let backing {
            context.tree.statistics.countPassthrough()
            isTaken = reply.opened(backing: backing)
        } else {
            isTaken = reply.opened(file)
        }
        // Whoever opened was interrupted: there will be no release.
        if !isTaken { context.backing.release(node) }
    }

    private static func release(_ request: fuse_req_t?, _ node: fuse_ino_t) {
        guard let request, let context = FuseContext.of(request) else { return }
        let id = NodeID(raw: node)
        let reply = FuseReply(request, context, .release, id)
        context.count(.release, id)
        // First, so that a server which dies here counts one open too many at most, and not one too few.
        reply.fail(0)
        context.backing.release(node)
    }

    private static func openDirectory(
        _ request: fuse_req_t?, _ node: fuse_ino_t, _ file: UnsafeMutablePointer<fuse_file_info>?
    ) {
        guard let request, let context = FuseContext.of(request) else { return }
        let id = NodeID(raw: node)
        let reply = FuseReply(request, context, .opendir, id)
        context.count(.opendir, id)
        guard !context.statelessDirectories.load(ordering: .relaxed), let file else { return reply.fail(ENOSYS) }
        do throws(DFSError) {
            try context.tree.admit(directory: id, caller: caller(request))
            let keep: UInt32 = try context.tree.attributes(of: id).lifetime == .none ? 0 : 1
            file.pointee.keep_cache = keep
            file.pointee.cache_readdir = keep
        } catch {
            return reply.fail(error)
        }
        _ = reply.opened(file)
    }
}
