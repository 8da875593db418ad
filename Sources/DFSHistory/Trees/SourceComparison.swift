import CLinux
import DFSChunking
import DFSModel
import DFSStore
import DFSSystem
import Glibc
import Synchronization

/// Compares a directory on this machine with a stored tree, by what a commit would record. Writes nothing anywhere.
package struct SourceComparison {
    private let reader: TreeReader
    private let cache: StatCache?
    private let filter: (any CaptureFilter)?
    private let threads: Int

    /// A file whose status is what `cache` holds is not opened.
    package init(reader: TreeReader, cache: StatCache?, filter: (any CaptureFilter)?, threads: Int) {
        self.reader = reader
        self.cache = cache
        self.filter = filter
        self.threads = threads
    }

    package struct Result: Sendable {
        /// In order of paths. Of what is new here `after` has no content digest.
        package var changes: [TreeChange] = []
        /// Fifos, sockets, devices and mounts of history or of the kernel's own: a commit would refuse them.
        package var special: [[UInt8]] = []
        package var ignored = 0
    }

    private enum Job: Sendable {
        /// `parent` is open as long as something in it waits to be opened; `nil`: the root.
        case directory(path: [UInt8], parent: OwnedDescriptor?, stored: TreeEntry?)
        case part(OpenDirectory, number: Int)
    }

    /// A directory whose names are known; those of a long one are compared in parts (`DirectoryParts`).
    private final class OpenDirectory: Sendable {
        let path: [UInt8]
        let stored: TreeEntry?
        let descriptor: OwnedDescriptor
        let status: FileStatus
        let names: [[UInt8]]
        let ranges: [Range<Int>]
        let row: StatCache.Row?
        /// Parts to come, and how many of the names the stored directory has too.
        let progress: Mutex<(left: Int, found: Int)>

        init(
            path: [UInt8], stored: TreeEntry?, descriptor: OwnedDescriptor, cache: StatCache?
        ) throws(DFSError) {
            self.path = path
            self.stored = stored?.kind == .directory ? stored : nil
            self.descriptor = descriptor
            status = try FileStatus.of(descriptor)
            names = try DirectoryListing.names(of: descriptor)
            ranges = DirectoryParts.ranges(names)
            let row = try cache?.row(device: status.device, inode: status.inode)
            // What the cache holds is of use where it is what was stored.
            self.row = row.flatMap { $0.summary.content == stored?.content ? $0 : nil }
            progress = Mutex((ranges.count, 0))
        }

        func path(of name: [UInt8]) -> [UInt8] { path.isEmpty ? name : path + [0x2f] + name }
    }

    /// `stored`: what the last version holds; `nil`: nothing yet.
    package func run(_ root: String, against stored: TreeEntry?) throws(DFSError) -> Result {
        let result = Mutex(Result())
        let stack = WorkStack<Job>()
        stack.push(.directory(path: [], parent: nil, stored: stored))
        try stack.run(threads: threads) { _, job throws(DFSError) in
            var found = Result(), below = [Job]()
            switch job {
            case .directory(let path, let parent, let stored):
                let descriptor = try Self.open(path, in: parent, root: root)
                let directory = try OpenDirectory(
                    path: path, stored: stored, descriptor: descriptor, cache: self.cache)
                if directory.ranges.count == 1 {
                    below = try self.compare(directory, 0, &found)
                } else {
                    below = directory.ranges.indices.map { .part(directory, number: $0) }
                }
            case .part(let directory, let number): below = try self.compare(directory, number, &found)
            }
            result.withLock {
                $0.changes += found.changes
                $0.special += found.special
                $0.ignored += found.ignored
            }
            stack.push(below)
        }
        return result.withLock {
            // What is of another kind now is removed first.
            $0.changes.sort {
                $0.path == $1.path
                    ? $0.kind == .removed && $1.kind != .removed : ByteOrder.precedes($0.path, $1.path)
            }
            return $0
        }
    }

    /// A path from the root may be longer than the system takes at once, so each directory is opened in its parent.
    private static func open(
        _ path: [UInt8], in parent: OwnedDescriptor?, root: String
    ) throws(DFSError) -> OwnedDescriptor {
        let flags = O_RDONLY | O_DIRECTORY | O_NONBLOCK
        guard let parent else { return try OwnedDescriptor.open(root, flags) }
        let start = path.lastIndex(of: 0x2f).map { $0 + 1 } ?? 0
        do throws(DFSError) {
            return try OwnedDescriptor.open(bytes: Array(path[start...]), flags | O_NOFOLLOW, at: parent.raw)
        } catch {
            throw DFSError(
                error.code, "cannot open \(root)/\(NameText.display(path))", cause: error.cause, hint: error.hint,
                errno: error.errno)
        }
    }

    private func compare(
        _ directory: OpenDirectory, _ number: Int, _ result: inout Result
    ) throws(DFSError) -> [Job] {
        let range = directory.ranges[number]
        let names = directory.names[range]
        let items = try cache?.items(
            of: directory.row, device: directory.status.device, inode: directory.status.inode,
            after: number == 0 ? [] : directory.names[range.lowerBound - 1],
            to: number + 1 < directory.ranges.count ? names.last : nil)
        var cached = (items ?? [])[...]
        var below = [Job](), found = 0
        for name in names {
            guard let status = try FileStatus.of(name, at: directory.descriptor.raw) else { continue }
            if let filter {
                let path = directory.path(of: name)
                if !filter.includes(path, isDirectory: status.kind == .directory) {
                    result.ignored += 1
                    continue
                }
            }
            while let first = cached.first, ByteOrder.precedes(first.entry.name, name) { cached.removeFirst() }
            if status.kind == .file, let item = cached.first, item.entry.name == name, item.matches(status) {
                found += 1
                continue
            }
            let before = try stored(name, in: directory)
            if before != nil { found += 1 }
            let path = directory.path(of: name)
            guard let here = try entry(name, status, directory, before) else {
                result.special.append(path)
                if let before { try gone(before, path, &result) }
                continue
            }
            try note(before, here, path, &result)
            if here.kind == .directory {
                below.append(.directory(path: path, parent: directory.descriptor, stored: before))
            }
        }
        let total = directory.progress.withLock { progress -> Int? in
            progress.left -= 1
            progress.found += found
            return progress.left == 0 ? progress.found : nil
        }
        if let total { try noteGone(directory, found: total, &result) }
        return below
    }

    private func stored(_ name: [UInt8], in directory: OpenDirectory) throws(DFSError) -> TreeEntry? {
        guard let address = directory.stored?.address else { return nil }
        return try reader.entry(named: name, in: address)
    }

    /// Reports what the stored directory has and this one, in which `found` of its names were seen, has not.
    private func noteGone(
        _ directory: OpenDirectory, found: Int, _ result: inout Result
    ) throws(DFSError) {
        guard let address = directory.stored?.address else { return }
        let count = try reader.leaves(of: address).reduce(0) { $0 + Int($1.entries) }
        // Special files count as seen; what was ignored or left out does not, and is looked for here.
        guard found != count else { return }
        var names = directory.names[...]
        var gone = [TreeEntry]()
        try reader.forEach(in: address) { entry throws(DFSError) in
            while let first = names.first, ByteOrder.precedes(first, entry.name) { names.removeFirst() }
            let isThere = names.first == entry.name
            if !isThere {
                gone.append(entry)
            } else if try !self.isSeen(entry.name, in: directory) {
                gone.append(entry)
            }
            return true
        }
        for entry in gone { try self.gone(entry, directory.path(of: entry.name), &result) }
    }

    /// Whether a name that is there counts: not what the filter leaves out.
    private func isSeen(_ name: [UInt8], in directory: OpenDirectory) throws(DFSError) -> Bool {
        guard let status = try FileStatus.of(name, at: directory.descriptor.raw) else { return false }
        guard let filter else { return true }
        return filter.includes(directory.path(of: name), isDirectory: status.kind == .directory)
    }

    private func note(
        _ before: TreeEntry?, _ here: TreeEntry, _ path: [UInt8], _ result: inout Result
    ) throws(DFSError) {
        let added = TreeChange(kind: .added, path: path, before: nil, after: here)
        guard let before else { return result.changes.append(added) }
        if before.kind == .directory, here.kind == .directory { return }
        if before.kind == .directory || here.kind == .directory {
            try gone(before, path, &result)
            return result.changes.append(added)
        }
        if before.letter == here.letter, before.content == here.content { return }
        result.changes.append(TreeChange(kind: .modified, path: path, before: before, after: here))
    }

    private func gone(_ entry: TreeEntry, _ path: [UInt8], _ result: inout Result) throws(DFSError) {
        result.changes.append(TreeChange(kind: .removed, path: path, before: entry, after: nil))
        guard entry.kind == .directory, let address = entry.address else { return }
        for child in try reader.entries(of: address) { try gone(child, path + [0x2f] + child.name, &result) }
    }

    /// What a commit would record of a name, as far as it must be known to compare; `nil` for a special file.
    private func entry(
        _ name: [UInt8], _ status: FileStatus, _ directory: OpenDirectory, _ before: TreeEntry?
    ) throws(DFSError) -> TreeEntry? {
        var entry = TreeEntry(
            name: name, kind: .file, mode: status.mode & 0o777, modified: status.modified, size: status.size,
            content: ContentDigest(.zero))
        switch status.kind {
        case .directory:
            if status.device != directory.status.device, FileSystemKind.isPseudo(device: status.device) { return nil }
            entry.kind = .directory
            entry.size = 0
        case .symlink:
            entry.kind = .symlink
            entry.target = try Beneath.linkTarget(name, in: directory.descriptor)
            entry.content = ContentDigest(Digest.of(entry.target))
        case .file:
            guard let before, before.kind == .file, before.size == status.size else { break }
            entry.content = try Self.digest(name, directory.descriptor)
        default: return nil
        }
        return entry
    }

    private static func digest(_ name: [UInt8], _ directory: OwnedDescriptor) throws(DFSError) -> ContentDigest {
        let file = try OwnedDescriptor.open(bytes: name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, at: directory.raw)
        var hasher = Hasher256()
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = try System.call("cannot read \(NameText.display(name))", fault: "read") {
                read(file.raw, &buffer, buffer.count)
            }
            if count == 0 { return ContentDigest(hasher.finish()) }
            buffer.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }
}
