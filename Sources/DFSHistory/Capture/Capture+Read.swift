import CLinux
import DFSModel
import DFSStore
import DFSSystem
import Glibc
import Synchronization

extension Capture {
    /// A file whose times are nearer to now than this may change again without its status telling.
    private static let granularity: Int64 = 20_000_000
    private static let attempts = 3

    /// Stores one file. A file that changes while it is read is read again, then refused.
    func read(_ directory: PendingDirectory, _ slot: Int, _ lane: Lane) throws(DFSError) {
        let (name, descriptor) = directory.state.withLock { ($0.slots[slot].name, $0.descriptor) }
        guard let descriptor else { return }
        var last: DFSError?
        for _ in 0..<Self.attempts {
            do {
                let (entry, status, racy) = try readOnce(name, directory, descriptor, lane)
                directory.state.withLock { state in
                    state.slots[slot] = PendingDirectory.Slot(
                        name: name, status: status, entry: entry, isRacy: racy)
                }
                options.progress.filesRead.increment()
                options.progress.bytesRead.increment(by: Int(status.size))
                return
            } catch {
                guard error.code == .refused else { throw error }
                last = error
            }
        }
        throw last ?? DFSError(.refused, "\(describe(directory, name)) changed while it was read")
    }

    private func readOnce(
        _ name: [UInt8], _ directory: PendingDirectory, _ descriptor: OwnedDescriptor, _ lane: Lane
    ) throws(DFSError) -> (TreeEntry, FileStatus, racy: Bool) {
        let file: OwnedDescriptor
        do {
            file = try OwnedDescriptor.open(
                bytes: name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, at: descriptor.raw)
        } catch { throw unreadable(error, describe(directory, name)) }
        let before = try FileStatus.of(file)
        guard before.kind == .file else {
            throw DFSError(.refused, "\(describe(directory, name)) became something else while it was read")
        }
        let now = Clock.now()
        let stored = try lane.store(file, size: before.size) { self.describe(directory, name) }
        let after = try FileStatus.of(file)
        guard after.size == before.size, after.modified == before.modified, after.changed == before.changed else {
            throw DFSError(
                .refused, "\(describe(directory, name)) changed while it was read", cause: "something is writing to it",
                hint: "stop the writer, then repeat the command")
        }
        if clinux_has_xattrs(file.raw) != 0 { notes.withLock { $0.extendedAttributes += 1 } }
        let entry = TreeEntry(
            name: name, kind: .file, mode: before.mode & 0o777, modified: before.modified, size: before.size,
            content: stored.content, address: stored.recipe)
        return (entry, before, isRecent(before, now))
    }

    private func isRecent(_ status: FileStatus, _ now: Timestamp) -> Bool {
        let newest = max(status.modified, status.changed)
        // Any date can be given to a file, also one so far away that nanoseconds do not reach it.
        guard now.seconds - 1 <= newest.seconds, newest.seconds <= now.seconds else { return newest > now }
        let age = (now.seconds - newest.seconds) * 1_000_000_000 + Int64(now.nanoseconds) - Int64(newest.nanoseconds)
        return age < Self.granularity
    }
}
