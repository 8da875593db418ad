import CLinux
import DFSChunking
import DFSModel
import DFSStore
import DFSSystem
import Glibc
import Synchronization

extension Capture {
    /// A batch of files for one job: large enough to be worth a turn of the lock, small enough to share out.
    private static let batchFiles = 32
    private static let batchBytes: UInt64 = 4 << 20

    /// Lists a directory and examines its names, those of a long one in jobs of their own.
    func scan(_ directory: PendingDirectory) throws(DFSError) {
        let descriptor: OwnedDescriptor
        do throws(DFSError) { descriptor = try openDirectory(directory) } catch {
            guard let parent = directory.parent, leavesOut(directory.path, error) else { throw error }
            parent.state.withLock { $0.parts[directory.slot.part].extras[directory.slot.index].isLeftOut = true }
            return try complete(parent, 1)
        }
        let row = try cache?.row(device: directory.status.device, inode: directory.status.inode)
        let names = try DirectoryListing.names(of: descriptor)
        let ranges = DirectoryParts.ranges(names)
        directory.state.withLock { state in
            state.parts = Array(repeating: PendingDirectory.Part(), count: ranges.count)
            state.boundaries = ranges.map { $0.lowerBound == 0 ? [] : names[$0.lowerBound - 1] }
            state.remaining = ranges.count
            state.row = row
            state.descriptor = descriptor
        }
        if ranges.count == 1 { return try examine(directory, part: 0, names[...]) }
        stack.push(ranges.enumerated().map { .examine(directory, part: $0.offset, names[$0.element]) })
    }

    /// Whether what could not be read is left out, and noted, rather than the end of the capture.
    func leavesOut(_ path: [UInt8], _ error: DFSError) -> Bool {
        let number = error.errno ?? 0
        let isOfTheFile = error.code == .refused || [ENOENT, EACCES, EPERM, ELOOP, ENOTDIR].contains(number)
        guard options.leavesOutUnread, isOfTheFile else { return false }
        notes.withLock { $0.unread.append((path, error.cause ?? error.what)) }
        return true
    }

    /// Looks at the names of one part, takes from the stat cache what is unchanged, and makes jobs of the rest.
    func examine(_ directory: PendingDirectory, part: Int, _ names: ArraySlice<[UInt8]>) throws(DFSError) {
        let (descriptor, row, boundaries) = directory.state.withLock { ($0.descriptor, $0.row, $0.boundaries) }
        guard let descriptor else { return }
        let items = try cache?.items(
            of: row, device: directory.status.device, inode: directory.status.inode, after: boundaries[part],
            to: part + 1 < boundaries.count ? names.last : nil)
        var scan = PartScan(items: items ?? [], isCached: row != nil)
        for name in names {
            guard let status = try FileStatus.of(name, at: descriptor.raw) else { continue }
            try consider(name, status, in: directory, descriptor, &scan)
        }
        let children = scan.directories.map { index, status in
            PendingDirectory(
                parent: directory, slot: .init(part: part, index: index), name: scan.part.entries[index].name,
                status: status)
        }
        let batches = batches(of: scan)
        let pending = children.count + scan.toRead.count
        if scan.files != scan.items.count { scan.part.missedCache = true }
        merge(scan.notes)
        let left = directory.state.withLock { state in
            state.parts[part] = scan.part
            state.remaining += pending - 1
            return state.remaining
        }
        if left == 0 { return try finish(directory) }
        stack.push(children.map { .scan($0) } + batches.map { .read(directory, part: part, $0) })
    }

    /// What the look at one part collects.
    private struct PartScan {
        let items: [StatCache.Item]
        var cursor = 0
        var part = PendingDirectory.Part()
        var directories = [(index: Int, status: FileStatus)]()
        var toRead = [(index: Int, status: FileStatus)]()
        /// Regular files that belong to the tree.
        var files = 0
        var notes = CaptureNotes()

        init(items: [StatCache.Item], isCached: Bool) {
            self.items = items
            part.missedCache = !isCached
            part.entries.reserveCapacity(items.count)
            part.extras.reserveCapacity(items.count)
        }

        /// The cached item of this name; names come in order.
        mutating func cached(_ name: [UInt8]) -> StatCache.Item? {
            while cursor < items.count {
                let order = ByteOrder.compare(items[cursor].entry.name, name)
                if order == 0 { return items[cursor] }
                if order > 0 { return nil }
                cursor += 1
            }
            return nil
        }

        mutating func add(_ entry: TreeEntry, _ status: FileStatus) {
            part.entries.append(entry)
            part.extras.append(.init(changed: status.changed, inode: status.inode))
        }
    }

    private func consider(
        _ name: [UInt8], _ status: FileStatus, in directory: PendingDirectory, _ descriptor: OwnedDescriptor,
        _ scan: inout PartScan
    ) throws(DFSError) {
        if let filter = options.filter {
            let path = directory.path(of: name)
            if !filter.includes(path, isDirectory: status.kind == .directory) {
                scan.notes.ignored.append(path)
                return
            }
        }
        switch status.kind {
        case .directory:
            if status.device != directory.status.device, FileSystemKind.isPseudo(device: status.device) {
                scan.notes.special.append(directory.path(of: name))
                return
            }
            scan.directories.append((scan.part.entries.count, status))
            scan.add(unfinished(name, .directory, status), status)
        case .symlink:
            scan.add(try symlink(name, status, directory, descriptor), status)
        case .file:
            if let limit = options.maximumFileSize, status.size > limit {
                scan.notes.tooLarge.append((directory.path(of: name), status.size))
                return
            }
            note(status, &scan.notes)
            scan.files += 1
            options.progress.files.increment()
            options.progress.bytes.increment(by: Int(status.size))
            if let item = scan.cached(name), item.entry.kind == .file, item.matches(status) {
                scan.add(item.entry, status)
            } else {
                scan.part.missedCache = true
                scan.toRead.append((scan.part.entries.count, status))
                scan.add(unfinished(name, .file, status), status)
            }
        default: scan.notes.special.append(directory.path(of: name))
        }
    }

    /// An entry whose content is not known yet.
    private func unfinished(_ name: [UInt8], _ kind: TreeEntry.Kind, _ status: FileStatus) -> TreeEntry {
        TreeEntry(
            name: name, kind: kind, mode: status.mode & 0o777, modified: status.modified, size: status.size,
            content: ContentDigest(.zero))
    }

    private func note(_ status: FileStatus, _ notes: inout CaptureNotes) {
        if status.links > 1 { notes.hardLinks += 1 }
        if status.mode & 0o7000 != 0 { notes.specialBits += 1 }
        if status.uid != owner { notes.foreignOwners += 1 }
        if status.blocks * 512 + 4096 < status.size { notes.sparse += 1 }
    }

    private func merge(_ found: CaptureNotes) {
        notes.withLock { $0.merge(found) }
    }

    private func symlink(
        _ name: [UInt8], _ status: FileStatus, _ directory: PendingDirectory, _ descriptor: OwnedDescriptor
    ) throws(DFSError) -> TreeEntry {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = try System.call("cannot read the link \(describe(directory, name))") {
            buffer.withUnsafeMutableBytes { raw in
                withCName(name) {
                    clinux_readlinkat(descriptor.raw, $0, raw.baseAddress, 4096)
                }
            }
        }
        let target = Array(buffer.prefix(Int(count)))
        guard (1...4095).contains(count) else {
            throw DFSError(
                .refused, "\(describe(directory, name)) has a target of \(count) bytes", cause: "at most 4,095 fit")
        }
        return TreeEntry(
            name: name, kind: .symlink, mode: 0o777, modified: status.modified, size: UInt64(count),
            content: ContentDigest(Digest.of(target)), target: target)
    }

    private func batches(of scan: PartScan) -> [[FileToRead]] {
        var batches = [[FileToRead]](), batch = [FileToRead](), bytes: UInt64 = 0
        for (index, status) in scan.toRead {
            batch.append(FileToRead(index: index, name: scan.part.entries[index].name, status: status))
            bytes += status.size
            if batch.count >= Self.batchFiles || bytes >= Self.batchBytes {
                batches.append(batch)
                batch = []
                bytes = 0
            }
        }
        if !batch.isEmpty { batches.append(batch) }
        return batches
    }
}
