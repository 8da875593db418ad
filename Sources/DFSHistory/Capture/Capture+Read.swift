import CLinux
import DFSModel
import DFSStore
import DFSSystem
import Glibc
import Synchronization

/// A file whose content must be read: its place in its part, and its status when it was found.
struct FileToRead: Sendable {
    let index: Int
    let name: [UInt8]
    let status: FileStatus
}

extension Capture {
    /// A file whose times are nearer to now than this may change again without its status telling.
    private static let granularity: Int64 = 20_000_000
    private static let attempts = 3

    private struct ReadFile {
        let entry: TreeEntry
        var extra: PendingDirectory.Extra
    }

    /// Stores files of one part, then counts them off.
    func read(
        _ directory: PendingDirectory, part: Int, _ files: [FileToRead], thread: Int, _ lane: Lane
    ) throws(DFSError) {
        guard let descriptor = directory.state.withLock({ $0.descriptor }) else { return }
        var results = [ReadFile]()
        results.reserveCapacity(files.count)
        for file in files {
            do throws(DFSError) { results.append(try read(file, directory, descriptor, thread, lane)) } catch {
                guard leavesOut(directory.path(of: file.name), error) else { throw error }
                var nothing = result(file, file.status, ContentDigest(.zero), nil, isRacy: true)
                nothing.extra.isLeftOut = true
                results.append(nothing)
            }
        }
        directory.state.withLock { state in
            for (file, result) in zip(files, results) {
                state.parts[part].entries[file.index] = result.entry
                state.parts[part].extras[file.index] = result.extra
            }
        }
        try complete(directory, files.count)
    }

    /// Stores one file. A file that changes while it is read is read again, then refused.
    private func read(
        _ file: FileToRead, _ directory: PendingDirectory, _ descriptor: OwnedDescriptor, _ thread: Int, _ lane: Lane
    ) throws(DFSError) -> ReadFile {
        if let known = try journal?.content(of: file.status, in: writer) {
            return result(file, file.status, known.content, known.recipe, isRacy: false)
        }
        var last: DFSError?
        for attempt in 0..<Self.attempts {
            do {
                let found = try readOnce(
                    file, attempt == 0 ? file.status : nil, directory, descriptor, thread, lane)
                options.progress.filesRead.increment()
                options.progress.bytesRead.increment(by: Int(found.entry.size))
                return found
            } catch {
                guard error.code == .refused else { throw error }
                last = error
            }
        }
        throw last ?? changed(directory, file.name)
    }

    /// `expected`: what the file's status was when it was found; then it need not be asked for before.
    private func readOnce(
        _ file: FileToRead, _ expected: FileStatus?, _ directory: PendingDirectory, _ descriptor: OwnedDescriptor,
        _ thread: Int, _ lane: Lane
    ) throws(DFSError) -> ReadFile {
        let opened: OwnedDescriptor
        do {
            opened = try OwnedDescriptor.open(
                bytes: file.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, at: descriptor.raw)
        } catch { throw unreadable(error, describe(directory, file.name)) }
        let before = if let expected { expected } else { try FileStatus.of(opened) }
        guard before.kind == .file else {
            throw DFSError(.refused, "\(describe(directory, file.name)) became something else while it was read")
        }
        if let inspector = options.inspector,
            try !inspector.admits(directory.path(of: file.name), opened, size: before.size)
        {
            // The whole capture is refused when all is looked at: what stands here is never recorded.
            return result(file, before, ContentDigest(.zero), nil, isRacy: true)
        }
        let now = Clock.now()
        let stored = try lane.store(opened, size: before.size) { self.describe(directory, file.name) }
        let after = try FileStatus.of(opened)
        guard after.size == before.size, after.modified == before.modified, after.changed == before.changed,
            after.inode == before.inode, after.device == before.device
        else { throw changed(directory, file.name) }
        if clinux_has_xattrs(opened.raw) != 0 { notes.withLock { $0.extendedAttributes += 1 } }
        let isRacy = isRecent(before, now)
        if !isRacy {
            journal?.note(before, stored, thread: thread)
            // Its pack is published already, and nothing may follow for long that writes the record.
            if before.size >= writer.store.parameters.singleFile { journal?.flush() }
        }
        return result(file, before, stored.content, stored.recipe, isRacy: isRacy)
    }

    private func changed(_ directory: PendingDirectory, _ name: [UInt8]) -> DFSError {
        DFSError(
            .refused, "\(describe(directory, name)) changed while it was read", cause: "something is writing to it",
            hint: "stop the writer, then repeat the command")
    }

    private func result(
        _ file: FileToRead, _ status: FileStatus, _ content: ContentDigest, _ recipe: ObjectAddress?, isRacy: Bool
    ) -> ReadFile {
        ReadFile(
            entry: TreeEntry(
                name: file.name, kind: .file, mode: status.mode & 0o777, modified: status.modified,
                size: status.size, content: content, address: recipe),
            extra: .init(changed: status.changed, inode: status.inode, isRacy: isRacy))
    }

    private func isRecent(_ status: FileStatus, _ now: Timestamp) -> Bool {
        let newest = max(status.modified, status.changed)
        // Any date can be given to a file, also one so far away that nanoseconds do not reach it.
        guard now.seconds - 1 <= newest.seconds, newest.seconds <= now.seconds else { return newest > now }
        let age = (now.seconds - newest.seconds) * 1_000_000_000 + Int64(now.nanoseconds) - Int64(newest.nanoseconds)
        return age < Self.granularity
    }
}
