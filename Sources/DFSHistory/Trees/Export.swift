import CLinux
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem
import Glibc

/// Writes a tree out as a plain, writable copy: contents, permission bits, mtimes, symlinks.
///
/// Everything written was checked against its digest. Works relative to open directories and never follows a symlink
/// below the destination.
package final class Export: Sendable {
    private let reader: TreeReader
    private let threads: Int
    private let stack = WorkStack<Job>()
    package let files = Counter()
    package let bytes = Counter()
    private let counting: (files: Counter, bytes: Counter)?

    private enum Job: Sendable {
        /// What is in the target's directory.
        case directory(Target)
        /// A directory that was made in the target's, to be opened when its turn comes: a directory may hold more of them
        /// than a process may have open.
        case child(TreeEntry, of: Target)
        case files([TreeEntry], Target)
    }

    /// An open directory of the destination. When the last part of it is written its mode and mtime are set.
    private final class Target: Sendable {
        let descriptor: OwnedDescriptor
        let entry: TreeEntry
        let parent: Target?

        init(_ descriptor: OwnedDescriptor, _ entry: TreeEntry, parent: Target?) {
            self.descriptor = descriptor
            self.entry = entry
            self.parent = parent
        }

        // The last reference goes when everything below has been written: only then do mode and mtime stay.
        deinit {
            fchmod(descriptor.raw, mode_t(entry.mode))
            Export.setModified(descriptor.raw, nil, entry.modified)
        }
    }

    /// `counting`: counters of a display that are added to as well.
    package init(
        reader: TreeReader, threads: Int = Workers.processorCount, counting: (files: Counter, bytes: Counter)? = nil
    ) {
        self.counting = counting
        self.reader = reader
        self.threads = threads
    }

    /// Exports `root` to `destination`, which must be absent or an empty directory; a file, to a file that must be absent.
    package func run(_ root: TreeEntry, to destination: String) throws(DFSError) {
        if root.kind != .directory { return try single(root, destination) }
        if Files.exists(destination) {
            guard Files.isDirectory(destination), try DirectoryListing.names(of: destination).isEmpty else {
                throw DFSError(
                    .refused, "\(destination) exists and is not an empty directory",
                    cause: "an export never overwrites", hint: "choose another destination")
            }
        } else {
            try System.call("cannot make directory \(destination)", fault: "mkdir") { mkdir(destination, 0o700) }
        }
        let descriptor = try OwnedDescriptor.open(destination, O_RDONLY | O_DIRECTORY)
        stack.push(.directory(Target(descriptor, root, parent: nil)))
        try stack.run(threads: threads) { _, job throws(DFSError) in
            switch job {
            case .directory(let target): try self.directory(target)
            case .child(let entry, let parent):
                let descriptor = try OwnedDescriptor.open(
                    bytes: entry.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: parent.descriptor.raw)
                try self.directory(Target(descriptor, entry, parent: parent))
            case .files(let entries, let target):
                for entry in entries { try self.file(entry, in: target.descriptor.raw) }
            }
        }
    }

    /// Bytes after which the kernel is asked to start writing back.
    private static let writeback: Int64 = 16 << 20

    private func single(_ root: TreeEntry, _ destination: String) throws(DFSError) {
        let parent = try OwnedDescriptor.open(Files.parent(destination), O_RDONLY | O_DIRECTORY)
        var entry = root
        entry.name = Array(destination.split(separator: "/").last.map(String.init)?.utf8 ?? "".utf8)
        guard try FileStatus.of(entry.name, at: parent.raw) == nil else {
            throw DFSError(.refused, "\(destination) exists", cause: "an export never overwrites")
        }
        if entry.kind == .symlink { try symlink(entry, in: parent.raw) } else { try file(entry, in: parent.raw) }
    }

    private func directory(_ target: Target) throws(DFSError) {
        guard let address = target.entry.address else { return }
        var batch = [TreeEntry](), batchBytes: UInt64 = 0
        var jobs = [Job]()
        try reader.forEach(in: address) { child throws(DFSError) in
            switch child.kind {
            case .symlink: try self.symlink(child, in: target.descriptor.raw)
            case .directory:
                try System.call("cannot make directory \(NameText.display(child.name))", fault: "mkdir") {
                    withCName(child.name) { mkdirat(target.descriptor.raw, $0, 0o700) }
                }
                jobs.append(.child(child, of: target))
            case .file:
                batch.append(child)
                batchBytes += child.size
                if batch.count >= 64 || batchBytes >= 4 << 20 {
                    jobs.append(.files(batch, target))
                    batch = []
                    batchBytes = 0
                }
            }
            return true
        }
        if !batch.isEmpty { jobs.append(.files(batch, target)) }
        stack.push(jobs)
    }

    private func symlink(_ entry: TreeEntry, in directory: Int32) throws(DFSError) {
        try System.call("cannot make the link \(NameText.display(entry.name))", fault: "link") {
            withCName(entry.target) { target in withCName(entry.name) { symlinkat(target, directory, $0) } }
        }
        Self.setModified(directory, entry.name, entry.modified)
        count(bytes: 0)
    }

    private func file(_ entry: TreeEntry, in directory: Int32) throws(DFSError) {
        let file = try OwnedDescriptor.open(
            bytes: entry.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600, at: directory)
        if let address = entry.address {
            let recipe = try reader.recipe(address, of: entry)
            let isShared = try share(recipe, with: file)
            var written: Int64 = 0, flushed: Int64 = 0
            try reader.store.forEachPiece(of: recipe) { piece throws(DFSError) in
                if isShared { return }
                try Files.write(piece, to: file.raw, what: NameText.display(entry.name))
                written += Int64(piece.count)
                guard written - flushed >= Self.writeback else { return }
                // Best effort: the disk works while the next piece is read.
                clinux_start_writeback(file.raw, flushed, written - flushed)
                flushed = written
            }
        } else if entry.size > 0 {
            let content = try reader.store.chunk(ChunkID(entry.content.digest))
            try Files.write(content, to: file.raw, what: NameText.display(entry.name))
        }
        try System.call("cannot set the mode of \(NameText.display(entry.name))") {
            fchmod(file.raw, mode_t(entry.mode))
        }
        Self.setModified(file.raw, nil, entry.modified)
        count(bytes: Int(entry.size))
    }

    /// Shares the extents of a pack that is the file, where the file system can (Btrfs, XFS); the content is checked all
    /// the same, but not written again.
    private func share(_ recipe: Recipe, with file: OwnedDescriptor) throws(DFSError) -> Bool {
        guard let pack = try reader.store.singleFile(of: recipe)?.descriptor else { return false }
        return clinux_clone_file(file.raw, pack.raw) == 0
    }

    private func count(bytes count: Int) {
        files.increment()
        bytes.increment(by: count)
        counting?.files.increment()
        counting?.bytes.increment(by: count)
    }

    private static func setModified(_ directory: Int32, _ name: [UInt8]?, _ time: Timestamp) {
        var times = (
            timespec(tv_sec: 0, tv_nsec: Int(UTIME_OMIT_VALUE)),
            timespec(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds))
        )
        withUnsafePointer(to: &times) { pair in
            pair.withMemoryRebound(to: timespec.self, capacity: 2) { t in
                if let name {
                    _ = withCName(name) { utimensat(directory, $0, t, AT_SYMLINK_NOFOLLOW) }
                } else {
                    _ = futimens(directory, t)
                }
            }
        }
    }
}

/// UTIME_OMIT of sys/stat.h, a macro that Swift does not see.
private let UTIME_OMIT_VALUE = (1 << 30) - 2
