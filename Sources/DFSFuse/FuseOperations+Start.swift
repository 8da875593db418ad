import CFuse3
import DFSVirtual
import Glibc
import Synchronization

extension FuseOperations {
    /// INIT: what the kernel and this daemon agree on.
    static func start(_ context: FuseContext, _ connection: UnsafeMutablePointer<fuse_conn_info>) {
        let capable = connection.pointee.capable
        func offers(_ capability: Int32) -> Bool { capable & UInt32(capability) != 0 }
        func want(_ capability: Int32) {
            if offers(capability) { connection.pointee.want |= UInt32(capability) }
        }
        func refuse(_ capability: Int32) { connection.pointee.want &= ~UInt32(capability) }

        connection.pointee.max_write = UInt32(BufferPool.size)
        connection.pointee.max_background = 64
        connection.pointee.congestion_threshold = 48
        // Always with attributes: the kernel's own choice leaves them out when it should not.
        want(FUSE_CAP_READDIRPLUS)
        refuse(FUSE_CAP_READDIRPLUS_AUTO)
        want(FUSE_CAP_PARALLEL_DIROPS)
        want(FUSE_CAP_CACHE_SYMLINKS)
        want(FUSE_CAP_ASYNC_READ)
        // Pages of a growing log are dropped when its size or mtime is seen to change.
        want(FUSE_CAP_AUTO_INVAL_DATA)
        // Requests are small and answers are copied from memory: pipes would only add calls.
        refuse(FUSE_CAP_SPLICE_READ)
        refuse(FUSE_CAP_SPLICE_WRITE)
        refuse(FUSE_CAP_SPLICE_MOVE)
        context.offersStateless.store(offers(FUSE_CAP_NO_OPEN_SUPPORT), ordering: .relaxed)
        // Where something is denied, opening it is refused: then every directory is asked about.
        let isOpen = context.tree.options.denials.isEmpty
        context.statelessDirectories.store(offers(FUSE_CAP_NO_OPENDIR_SUPPORT) && isOpen, ordering: .relaxed)
    }

    /// Whatever would change something. The mount is read-only, so the kernel refuses before; should somebody remount
    /// it, it still is.
    static func addRefusals(_ table: inout fuse_lowlevel_ops) {
        table.setattr = { request, node, _, _, _ in FuseOperations.refuse(request, node) }
        table.mknod = { request, node, _, _, _ in FuseOperations.refuse(request, node) }
        table.mkdir = { request, node, _, _ in FuseOperations.refuse(request, node) }
        table.unlink = { request, node, _ in FuseOperations.refuse(request, node) }
        table.rmdir = { request, node, _ in FuseOperations.refuse(request, node) }
        table.symlink = { request, _, node, _ in FuseOperations.refuse(request, node) }
        table.rename = { request, node, _, _, _, _ in FuseOperations.refuse(request, node) }
        table.link = { request, node, _, _ in FuseOperations.refuse(request, node) }
        table.write = { request, node, _, _, _, _ in FuseOperations.refuse(request, node) }
        table.setxattr = { request, node, _, _, _, _ in FuseOperations.refuse(request, node) }
        table.removexattr = { request, node, _ in FuseOperations.refuse(request, node) }
        table.create = { request, node, _, _, _ in FuseOperations.refuse(request, node) }
        table.fallocate = { request, node, _, _, _, _ in FuseOperations.refuse(request, node) }
    }

    private static func refuse(_ request: fuse_req_t?, _ node: fuse_ino_t) {
        guard let request, let context = FuseContext.of(request) else { return }
        context.count(.refused, NodeID(raw: node))
        FuseReply(request, context, .refused, NodeID(raw: node)).fail(EROFS)
    }
}
