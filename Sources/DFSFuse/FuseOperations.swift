import CFuse3
import DFSModel
import DFSSystem
import DFSVirtual
import Glibc
import Synchronization

/// libfuse's table. Made of nonisolated functions: libfuse calls them on threads of its own.
enum FuseOperations {
    static func table() -> fuse_lowlevel_ops {
        var table = fuse_lowlevel_ops()
        table.`init` = { context, connection in
            guard let context, let connection else { return }
            FuseOperations.start(Unmanaged<FuseContext>.fromOpaque(context).takeUnretainedValue(), connection)
        }
        addLookups(&table)
        addOpening(&table)
        addReading(&table)
        addRefusals(&table)
        return table
    }

    /// Answers one request: the errors of `body` become errnos.
    private static func answer(
        _ request: fuse_req_t?, _ operation: ServingStatistics.Operation, _ node: fuse_ino_t,
        _ body: (FuseContext, NodeID) throws(DFSError) -> FuseAnswer
    ) {
        guard let request, let context = FuseContext.of(request) else { return }
        let id = NodeID(raw: node)
        let reply = FuseReply(request, context, operation, id)
        context.count(operation, id)
        do throws(DFSError) {
            let answer = try body(context, id)
            reply.send(answer)
        } catch {
            reply.fail(error)
        }
    }

    /// The process that asks; 0 where it cannot be told.
    static func caller(_ request: fuse_req_t?) -> Int32 {
        guard let request, let caller = fuse_req_ctx(request) else { return 0 }
        return caller.pointee.pid
    }

    private static func bytes(_ name: UnsafePointer<CChar>?) -> [UInt8] {
        guard let name else { return [] }
        return UnsafeBufferPointer(start: name, count: strlen(name)).map { UInt8(bitPattern: $0) }
    }

    private static func addLookups(_ table: inout fuse_lowlevel_ops) {
        table.lookup = { request, parent, name in
            let name = FuseOperations.bytes(name)
            let isControl = parent == NodeID.root.raw && name == Array(".dfs".utf8)
            FuseOperations.answer(request, isControl ? .control : .lookup, parent) { context, id throws(DFSError) in
                guard name.count <= 255 else { return .failed(ENAMETOOLONG) }
                switch try context.tree.lookup(name, in: id, caller: FuseOperations.caller(request)) {
                case .found(let attributes, let lifetime): return .found(attributes, lifetime)
                case .absent(let lifetime): return .absent(lifetime)
                }
            }
        }
        table.forget = { request, node, lookups in
            guard let request else { return }
            FuseOperations.forget(request, node, lookups)
            fuse_reply_none(request)
        }
        table.forget_multi = { request, count, forgets in
            guard let request else { return }
            for i in 0..<count {
                if let one = forgets?[i] { FuseOperations.forget(request, one.ino, one.nlookup) }
            }
            fuse_reply_none(request)
        }
        table.getattr = { request, node, _ in
            FuseOperations.answer(request, .getattr, node) { context, id throws(DFSError) in
                .attributes(try context.tree.attributes(of: id))
            }
        }
        table.readlink = { request, node in
            FuseOperations.answer(request, .readlink, node) { context, id throws(DFSError) in
                .target(try context.tree.target(of: id))
            }
        }
        table.statfs = { request, node in
            FuseOperations.answer(request, .statfs, node) { context, _ in
                .capacity(FuseOperations.capacity(context.tree.options.capacityPath))
            }
        }
        addExtendedAttributes(&table)
    }

    private static func forget(_ request: fuse_req_t, _ node: fuse_ino_t, _ lookups: UInt64) {
        guard let context = FuseContext.of(request) else { return }
        context.count(.forget, NodeID(raw: node))
        context.tree.forget(NodeID(raw: node), lookups: lookups)
    }

    private static func addExtendedAttributes(_ table: inout fuse_lowlevel_ops) {
        table.getxattr = { request, node, name, room in
            let name = String(decoding: FuseOperations.bytes(name), as: UTF8.self)
            FuseOperations.answer(request, .getxattr, node) { context, id throws(DFSError) in
                // Whoever is told that there is no such thing here at all stops asking: `ls -l` would ask for an ACL and a
                // label of every file.
                guard name.hasPrefix("user.") else { return .failed(EOPNOTSUPP) }
                guard name.hasPrefix("user.dfs."),
                    let found = try context.tree.extendedAttributes(of: id).first(where: { $0.name == name })
                else { return .failed(ENODATA) }
                return .attribute(Array(found.value.utf8), room)
            }
        }
        table.listxattr = { request, node, room in
            FuseOperations.answer(request, .listxattr, node) { context, id throws(DFSError) in
                let names = try context.tree.extendedAttributes(of: id).map(\.name)
                return .attribute(names.flatMap { Array($0.utf8) + [0] }, room)
            }
        }
    }

    /// The store's file system, with nothing that could be written.
    private static func capacity(_ path: String?) -> statvfs {
        var capacity = statvfs()
        if path.map({ statvfs($0, &capacity) }) != 0 {
            capacity = statvfs()
            capacity.f_bsize = 4096
            capacity.f_frsize = 4096
        }
        capacity.f_namemax = 255
        return capacity
    }

    // MARK: Reading

    private static func addReading(_ table: inout fuse_lowlevel_ops) {
        table.read = { request, node, size, offset, _ in FuseOperations.read(request, node, size, offset) }
        table.readdir = { request, node, size, offset, _ in
            FuseOperations.list(request, node, size, offset, plus: false)
        }
        table.readdirplus = { request, node, size, offset, _ in
            FuseOperations.list(request, node, size, offset, plus: true)
        }
    }

    private static func read(_ request: fuse_req_t?, _ node: fuse_ino_t, _ size: Int, _ offset: off_t) {
        guard let request, let context = FuseContext.of(request) else { return }
        let id = NodeID(raw: node)
        let reply = FuseReply(request, context, .read, id)
        context.count(.read, id)
        guard offset >= 0 else { return reply.fail(EINVAL) }
        // What the kernel is given unasked would be read without a trace.
        if offset == 0, !id.isControl, context.tree.accesses?.notesReads != true { context.neighbours.note(id) }
        let buffer = context.buffers.take()
        defer { context.buffers.give(buffer) }
        let room = UnsafeMutableRawBufferPointer(rebasing: buffer.memory[..<min(max(size, 0), BufferPool.size)])
        do throws(DFSError) {
            let count = try context.tree.read(
                id, at: UInt64(offset), caller: caller(request), into: room)
            if !id.isControl { context.tree.statistics.count(bytesRead: count) }
            reply.data(UnsafeRawBufferPointer(rebasing: room[..<count]))
        } catch {
            reply.fail(error)
        }
    }

    private static func list(
        _ request: fuse_req_t?, _ node: fuse_ino_t, _ size: Int, _ offset: off_t, plus: Bool
    ) {
        guard let request, let context = FuseContext.of(request) else { return }
        let id = NodeID(raw: node)
        let reply = FuseReply(request, context, plus ? .readdirplus : .readdir, id)
        context.count(plus ? .readdirplus : .readdir, id)
        let buffer = context.buffers.take()
        defer { context.buffers.give(buffer) }
        var used = 0
        let room = min(max(size, 0), BufferPool.size)
        do throws(DFSError) {
            try context.tree.list(
                id, after: UInt64(bitPattern: Int64(offset)), caller: caller(request)
            ) { listed in
                guard let base = buffer.memory.baseAddress else { return false }
                let needed = add(
                    listed, plus: plus, request, context, base.assumingMemoryBound(to: CChar.self) + used, room - used)
                guard needed <= room - used else { return false }
                used += needed
                return true
            }
        } catch {
            // What has been found is good; the next request meets the error again.
            if used == 0 { return reply.fail(error) }
        }
        reply.data(UnsafeRawBufferPointer(rebasing: buffer.memory[..<used]))
    }

    /// The length of the entry, which was added if it is not above `room`.
    private static func add(
        _ listed: Listed, plus: Bool, _ request: fuse_req_t, _ context: FuseContext,
        _ buffer: UnsafeMutablePointer<CChar>, _ room: Int
    ) -> Int {
        let next = off_t(truncatingIfNeeded: listed.next)
        return withCName(listed.name) { name in
            guard plus else {
                var status = context.status(listed.attributes)
                return fuse_add_direntry(request, buffer, room, name, &status, next)
            }
            var entry = context.entry(listed.attributes, listed.lifetime)
            // Without an id the kernel takes name, kind and inode number only.
            if !listed.isComplete { entry.ino = 0 }
            return fuse_add_direntry_plus(request, buffer, room, name, &entry, next)
        }
    }
}
