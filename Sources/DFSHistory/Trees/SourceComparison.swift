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
        /// Fifos, sockets and devices: a commit would refuse them.
        package var special: [[UInt8]] = []
        package var ignored = 0
    }

    private struct Job: Sendable {
        let path: [UInt8]
        let stored: TreeEntry?
    }

    /// `stored`: what the last version holds; `nil`: nothing yet.
    package func run(_ root: String, against stored: TreeEntry?) throws(DFSError) -> Result {
        let result = Mutex(Result())
        let stack = WorkStack<Job>()
        stack.push(Job(path: [], stored: stored))
        let base = Array(root.utf8)
        try stack.run(threads: threads) { _, job throws(DFSError) in
            let (found, below) = try self.compare(job, base)
            result.withLock {
                $0.changes += found.changes
                $0.special += found.special
                $0.ignored += found.ignored
            }
            stack.push(below)
        }
        return result.withLock {
            $0.changes.sort { ByteOrder.precedes($0.path, $1.path) }
            return $0
        }
    }

    private func compare(_ job: Job, _ base: [UInt8]) throws(DFSError) -> (Result, [Job]) {
        let full = job.path.isEmpty ? base : base + [0x2f] + job.path
        let directory = try OwnedDescriptor.open(bytes: full, O_RDONLY | O_DIRECTORY | O_NONBLOCK, at: AT_FDCWD)
        let status = try FileStatus.of(directory)
        var result = Result(), below = [Job]()
        var known = [[UInt8]: TreeEntry]()
        if let address = job.stored?.address, job.stored?.kind == .directory {
            for entry in try reader.entries(of: address) { known[entry.name] = entry }
        }
        let cached = try cache?.row(device: status.device, inode: status.inode)?.items ?? []
        let items = Dictionary(cached.map { ($0.entry.name, $0) }) { first, _ in first }
        for name in try DirectoryListing.names(of: directory) {
            guard let status = try FileStatus.of(name, at: directory.raw) else { continue }
            let path = job.path.isEmpty ? name : job.path + [0x2f] + name
            if let filter, !filter.includes(path, isDirectory: status.kind == .directory) {
                result.ignored += 1
                continue
            }
            let before = known.removeValue(forKey: name)
            guard let here = try entry(name, status, directory, before, items[name]) else {
                result.special.append(path)
                continue
            }
            note(before, here, path, &result)
            if here.kind == .directory { below.append(Job(path: path, stored: before)) }
        }
        for (name, entry) in known {
            try gone(entry, job.path.isEmpty ? name : job.path + [0x2f] + name, &result)
        }
        return (result, below)
    }

    private func note(_ before: TreeEntry?, _ here: TreeEntry, _ path: [UInt8], _ result: inout Result) {
        guard let before else {
            return result.changes.append(TreeChange(kind: .added, path: path, before: nil, after: here))
        }
        if before.kind == .directory, here.kind == .directory { return }
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
        _ name: [UInt8], _ status: FileStatus, _ directory: OwnedDescriptor, _ before: TreeEntry?,
        _ cached: StatCache.Item?
    ) throws(DFSError) -> TreeEntry? {
        var entry = TreeEntry(
            name: name, kind: .file, mode: status.mode & 0o777, modified: status.modified, size: status.size,
            content: ContentDigest(.zero))
        switch status.kind {
        case .directory:
            entry.kind = .directory
            entry.size = 0
        case .symlink:
            entry.kind = .symlink
            entry.target = try Beneath.linkTarget(name, in: directory)
            entry.content = ContentDigest(Digest.of(entry.target))
        case .file:
            guard let before, before.kind == .file, before.size == status.size else { break }
            if let cached, cached.entry.kind == .file, cached.matches(status) {
                entry.content = cached.entry.content
            } else {
                entry.content = try Self.digest(name, directory)
            }
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
