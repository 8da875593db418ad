import CLinux
import DFSChunking
import DFSModel
import DFSStore
import DFSSystem
import Glibc
import Synchronization

/// Takes a directory tree into a store: walks, hashes and writes on several threads, deepest first.
///
/// Work is proportional to what changed: a file whose status is what the stat cache holds is not opened, and a directory
/// whose content is unchanged keeps its node.
package final class Capture: Sendable {
    enum Job: Sendable {
        case scan(PendingDirectory)
        case examine(PendingDirectory, part: Int, ArraySlice<[UInt8]>)
        case read(PendingDirectory, part: Int, [FileToRead])
    }

    let writer: StoreWriter
    let reader: TreeReader
    let cache: StatCache?
    /// Where what was read is noted until an entry names it; none for captures that need not be resumed.
    let journal: IngestJournal?
    let options: CaptureOptions
    /// The root of the version that this one follows.
    let previousRoot: TreeEntry?
    let stack = WorkStack<Job>()
    let notes = Mutex<CaptureNotes>(CaptureNotes())
    let updates = Mutex<[StatCache.Update]>([])
    let finishedRoot = Mutex<(TreeEntry, TreeReference)?>(nil)
    private let rootPath: String
    private let opened: OwnedDescriptor?
    let owner = getuid()
    /// `opened` is the root where its path must not be trusted; then `root` is for messages only.
    package init(
        root: String, opened: OwnedDescriptor? = nil, writer: StoreWriter, reader: TreeReader, cache: StatCache?,
        journal: IngestJournal? = nil, previous: TreeEntry?, options: CaptureOptions
    ) {
        rootPath = root
        self.opened = opened
        self.writer = writer
        self.reader = reader
        self.cache = cache
        self.journal = journal
        previousRoot = previous
        self.options = options
    }

    /// Captures the tree. Content lanes are finished; the writer is not. When it throws, the writer is of no further use;
    /// what it has published stays for the next attempt if there is a journal of it.
    package func run() throws(DFSError) -> CaptureResult {
        do throws(DFSError) {
            if let journal {
                try writer.adopt(journal.packs)
                writer.observe(published: { journal.note(pack: $0) }, refused: { journal.note(refused: $0) })
            }
            return try walk()
        } catch {
            journal?.flush()
            writer.abandon(keepingPacks: journal != nil)
            throw error
        }
    }

    private func walk() throws(DFSError) -> CaptureResult {
        guard let status = try rootStatus() else {
            throw DFSError(.noReference, "\(rootPath) does not exist", hint: "ls \(Files.parent(rootPath))")
        }
        guard status.kind == .directory else {
            throw DFSError(.usage, "\(rootPath) is not a directory", hint: "put the file into a directory of its own")
        }
        let root = PendingDirectory(parent: nil, slot: .init(part: 0, index: 0), name: [], status: status)
        stack.push(.scan(root))
        let lanes = Lanes(count: options.threads, writer: writer)
        try stack.run(threads: options.threads) { thread, job throws(DFSError) in
            switch job {
            case .scan(let directory): try self.scan(directory)
            case .examine(let directory, let part, let names): try self.examine(directory, part: part, names)
            case .read(let directory, let part, let files):
                try self.read(directory, part: part, files, thread: thread, lanes[thread])
            }
        }
        try options.inspector?.conclude()
        let notes = notes.withLock { $0 }
        if !options.skipSpecial, !notes.special.isEmpty { throw Self.refusal(of: notes.special) }
        try lanes.finish()
        guard let (entry, summary) = finishedRoot.withLock({ $0 }) else {
            throw DFSError(.operational, "the walk of \(rootPath) did not end")
        }
        return CaptureResult(root: entry, summary: summary, notes: notes, updates: updates.withLock { $0 })
    }

    private func rootStatus() throws(DFSError) -> FileStatus? {
        guard let opened else { return try FileStatus.of(path: rootPath, following: true) }
        return try FileStatus.of(opened)
    }

    private static func refusal(of special: [[UInt8]]) -> DFSError {
        let names = special.sorted(by: ByteOrder.precedes).prefix(5).map { NameText.display($0) }
        let more = special.count > 5 ? " and \(special.count - 5) more" : ""
        return DFSError(
            .refused,
            "cannot record sockets, fifos, devices or mounts of history: \(names.joined(separator: ", "))\(more)",
            cause: "they have no content of their own; nothing was recorded",
            hint: "repeat the command with --skip-special, which leaves them out and lists them in the record")
    }

    /// The lanes of the threads. Each is used by its own thread only.
    private final class Lanes: @unchecked Sendable {
        private let lanes: [Lane]
        init(count: Int, writer: StoreWriter) { lanes = (0..<count).map { _ in writer.lane() } }
        subscript(thread: Int) -> Lane { lanes[thread] }

        func finish() throws(DFSError) {
            let failure = Mutex<DFSError?>(nil)
            Workers.run(lanes.count) { i in
                do throws(DFSError) { try self.lanes[i].finish() } catch { failure.withLock { $0 = error } }
            }
            if let error = failure.withLock({ $0 }) { throw error }
        }
    }

    func describe(_ directory: PendingDirectory, _ name: [UInt8]) -> String {
        rootPath + "/" + NameText.display(directory.path(of: name))
    }

    func openDirectory(_ directory: PendingDirectory) throws(DFSError) -> OwnedDescriptor {
        let flags = O_RDONLY | O_DIRECTORY | O_NONBLOCK
        guard let parent = directory.parent, let above = parent.state.withLock({ $0.descriptor }) else {
            if let opened { return try OwnedDescriptor.open(".", flags, at: opened.raw) }
            return try OwnedDescriptor.open(rootPath, flags)
        }
        do {
            return try OwnedDescriptor.open(bytes: directory.name, flags | O_NOFOLLOW, at: above.raw)
        } catch {
            throw unreadable(error, describe(parent, directory.name))
        }
    }

    func unreadable(_ error: DFSError, _ path: String) -> DFSError {
        guard error.errno == EACCES || error.errno == EPERM else {
            return DFSError(
                .operational, "cannot read \(path)", cause: error.cause, hint: error.hint, errno: error.errno)
        }
        return DFSError(
            .operational, "cannot read \(path)",
            cause: "permission denied; nothing was recorded (a line in .dfsignore leaves it out)",
            hint: "chmod -R u+rX \(path)", errno: error.errno)
    }
}
