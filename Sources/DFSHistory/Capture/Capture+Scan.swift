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

    /// Lists a directory, takes from the stat cache what is unchanged, and makes jobs of the rest.
    func scan(_ directory: PendingDirectory) throws(DFSError) {
        let descriptor = try openDirectory(directory)
        let row = try cache?.row(device: directory.status.device, inode: directory.status.inode)
        var scan = DirectoryScan(row: row)
        for name in try DirectoryListing.names(of: descriptor) {
            guard let status = try FileStatus.of(name, at: descriptor.raw) else { continue }
            try consider(name, status, in: directory, descriptor, &scan)
        }
        let children = scan.directories.map { slot in
            PendingDirectory(
                parent: directory, slot: slot, name: scan.slots[slot].name, status: scan.slots[slot].status)
        }
        let batches = batches(of: scan)
        let pending = children.count + scan.toRead.count
        merge(scan.notes)
        directory.state.withLock { state in
            state.slots = scan.slots
            state.remaining = pending
            state.row = row
            state.missedCache = scan.missedCache
            state.descriptor = pending > 0 ? descriptor : nil
        }
        if pending == 0 { return try finish(directory) }
        stack.push(children.map { .scan($0) } + batches.map { .read(directory, slots: $0) })
    }

    /// What one scan collects.
    private struct DirectoryScan {
        let row: StatCache.Row?
        var cursor = 0
        var slots = [PendingDirectory.Slot]()
        var directories = [Int]()
        var toRead = [Int]()
        var notes = CaptureNotes()
        var missedCache: Bool

        init(row: StatCache.Row?) {
            self.row = row
            missedCache = row == nil
            slots.reserveCapacity(row?.items.count ?? 16)
        }

        /// The cached item of this name; names come in order.
        mutating func cached(_ name: [UInt8]) -> StatCache.Item? {
            guard let items = row?.items else { return nil }
            while cursor < items.count {
                let order = ByteOrder.compare(items[cursor].entry.name, name)
                if order == 0 { return items[cursor] }
                if order > 0 { return nil }
                cursor += 1
            }
            return nil
        }
    }

    private func consider(
        _ name: [UInt8], _ status: FileStatus, in directory: PendingDirectory, _ descriptor: OwnedDescriptor,
        _ scan: inout DirectoryScan
    ) throws(DFSError) {
        if let filter = options.filter {
            let path = directory.path(of: name)
            if !filter.includes(path, isDirectory: status.kind == .directory) {
                scan.notes.ignored.append(path)
                return
            }
        }
        var slot = PendingDirectory.Slot(name: name, status: status)
        switch status.kind {
        case .directory:
            if status.device != directory.status.device, FileSystemKind.isPseudo(device: status.device) {
                scan.notes.special.append(directory.path(of: name))
                return
            }
            scan.directories.append(scan.slots.count)
        case .symlink:
            slot.entry = try symlink(name, status, directory, descriptor)
        case .file:
            if let limit = options.maximumFileSize, status.size > limit {
                scan.notes.tooLarge.append((directory.path(of: name), status.size))
                return
            }
            note(status, &scan.notes)
            options.progress.files.increment()
            options.progress.bytes.increment(by: Int(status.size))
            if let item = scan.cached(name), item.entry.kind == .file, item.matches(status) {
                slot.entry = item.entry
            } else {
                scan.missedCache = true
                scan.toRead.append(scan.slots.count)
            }
        default:
            scan.notes.special.append(directory.path(of: name))
            return
        }
        scan.slots.append(slot)
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

    private func batches(of scan: DirectoryScan) -> [[Int]] {
        var batches = [[Int]](), batch = [Int](), bytes: UInt64 = 0
        for slot in scan.toRead {
            batch.append(slot)
            bytes += scan.slots[slot].status.size
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
