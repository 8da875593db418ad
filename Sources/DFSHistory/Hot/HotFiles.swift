import DFSChunking
import DFSModel
import DFSStore
import DFSSystem
import Glibc
import Synchronization

/// Whole, uncompressed copies of stored files on this host, which the kernel can read in place of them.
///
/// `files/<aa>/<digest>` holds the bytes, `<digest>.key` beside it the status that the file had when it was verified: a file
/// that was written to since is not used. The key's mtime is the time of the last use. Several processes may share the
/// folder; one that removes what another reads takes only the name away.
package final class HotFiles: Sendable {
    /// The most that hot files take unless told otherwise.
    private static let standardLimit: UInt64 = 20 << 30

    /// A copy in use: it is not removed by this process as long as somebody has it.
    package final class Hold: Sendable {
        package let descriptor: OwnedDescriptor
        package let path: String
        private let content: ContentDigest
        private let owner: HotFiles

        fileprivate init(_ descriptor: OwnedDescriptor, _ path: String, _ content: ContentDigest, _ owner: HotFiles) {
            self.descriptor = descriptor
            self.path = path
            self.content = content
            self.owner = owner
            owner.inUse.withLock { $0[content, default: 0] += 1 }
        }

        deinit {
            owner.inUse.withLock { uses in
                let left = (uses[content] ?? 1) - 1
                uses[content] = left > 0 ? left : nil
            }
        }
    }

    package enum Outcome: Sendable, Equatable {
        case made, present
        /// Why there is none.
        case skipped(String)
    }

    private let root: String
    private let reader: TreeReader
    private let givenLimit: UInt64?
    private let inUse = Mutex<[ContentDigest: Int]>([:])
    /// Copies are made one after the other, so that the bound holds.
    private let making = Lock()

    /// `directory` is the host's folder for the store; `limit` in bytes.
    package init(directory: String, reader: TreeReader, limit: UInt64? = nil) {
        root = directory + "/hot"
        self.reader = reader
        givenLimit = limit
    }

    private func folder(_ content: ContentDigest) -> String { "\(root)/files/\(content.digest.hex.prefix(2))" }

    private func path(_ content: ContentDigest) -> String { folder(content) + "/" + content.digest.hex }

    // MARK: Using

    /// The copy of a file, if there is one that is as it was when it was verified.
    package func open(_ content: ContentDigest, size: UInt64) -> Hold? {
        let path = path(content)
        guard let file = try? OwnedDescriptor.open(path, O_RDONLY | O_NOFOLLOW) else { return nil }
        guard let status = try? FileStatus.of(file), Self.isOurs(status, size: size),
            let key = try? Files.readRegular(path + ".key", limit: 4096), key == FileStamp(status).bytes
        else {
            // A process that has just made it writes the key next.
            if !Self.isYoung(path) { remove(path) }
            return nil
        }
        utimensat(AT_FDCWD, path + ".key", nil, 0)
        return Hold(file, path, content, self)
    }

    /// Keeps a copy, there or still to be made, as long as this value lives.
    package func pin(_ content: ContentDigest) { inUse.withLock { $0[content, default: 0] += 1 } }

    private static func isOurs(_ status: FileStatus, size: UInt64) -> Bool {
        status.kind == .file && status.uid == geteuid() && status.mode == 0o400 && status.size == size
    }

    private static func isYoung(_ path: String) -> Bool {
        guard let status = try? FileStatus.of(path: path), !Files.exists(path + ".key") else { return false }
        return Clock.now().seconds - status.changed.seconds < 60
    }

    private func remove(_ path: String) {
        unlink(path + ".key")
        unlink(path)
    }

    // MARK: Making

    /// Makes the copy of a regular file, verified as a whole, if it is not there and the bound has room for it.
    package func make(_ file: TreeEntry) throws(DFSError) -> Outcome {
        try making.hold { () throws(DFSError) in
            if self.open(file.content, size: file.size) != nil { return .present }
            return try self.makeNew(file)
        }
    }

    private func makeNew(_ file: TreeEntry) throws(DFSError) -> Outcome {
        try Files.makeDirectories(folder(file.content), mode: 0o700)
        try Files.makeDirectories(root + "/tmp", mode: 0o700)
        if let reason = try makeRoom(for: file.size) { return .skipped(reason) }
        let target = try DurableFile(temporaryDirectory: root + "/tmp", mode: 0o400)
        var hasher = Hasher256()
        try reader.forEachPiece(of: file) { piece throws(DFSError) in
            hasher.update(piece)
            try target.append(piece)
        }
        guard hasher.finish() == file.content.digest, target.length == file.size else {
            throw DFSError(
                .corrupt, "\(NameText.display(file.name)) is not what its digest says", cause: file.content.digest.text,
                hint: "dfs verify --files")
        }
        let path = path(file.content)
        // What stands there was found to be no good.
        try target.replace(path)
        let key = try DurableFile(temporaryDirectory: root + "/tmp", mode: 0o600)
        try key.append(FileStamp(try target.status()).bytes)
        try key.replace(path + ".key")
        return .made
    }

    // MARK: The bound

    private struct Item {
        var path: String
        var content: ContentDigest
        var bytes: UInt64
        var used: Timestamp
    }

    /// Bytes that hot files take now.
    package var bytes: UInt64 { items().reduce(0) { $0 + $1.bytes } }

    /// The bound: a fifth of what would be free without hot files, at most 20 GiB; or what was given.
    package var limit: UInt64 { limit(used: bytes) }

    private func limit(used: UInt64) -> UInt64 {
        if let givenLimit { return givenLimit }
        var s = statvfs()
        guard statvfs(root, &s) == 0 else { return 0 }
        return min((UInt64(s.f_bavail) * UInt64(s.f_frsize) + used) / 5, Self.standardLimit)
    }

    /// Removes what was not used for longest until `size` more fit; why they do not, if so.
    private func makeRoom(for size: UInt64) throws(DFSError) -> String? {
        sweep()
        var items = items().sorted { $0.used < $1.used }
        var used = items.reduce(0) { $0 + $1.bytes }
        let limit = limit(used: used)
        guard size <= limit else { return "it is larger than the bound of \(ByteCount(limit))" }
        while used + size > limit {
            guard let i = items.firstIndex(where: { item in !inUse.withLock { $0[item.content] != nil } }) else {
                return "the bound of \(ByteCount(limit)) is taken by files in use"
            }
            let item = items.remove(at: i)
            remove(item.path)
            used -= min(used, item.bytes)
        }
        return nil
    }

    private func items() -> [Item] {
        var out = [Item]()
        for folder in (try? DirectoryListing.names(of: root + "/files")) ?? [] {
            let directory = root + "/files/" + String(decoding: folder, as: UTF8.self)
            for name in (try? DirectoryListing.names(of: directory)) ?? [] {
                let text = String(decoding: name, as: UTF8.self)
                guard let digest = Digest(hex: text), let status = try? FileStatus.of(path: directory + "/" + text)
                else { continue }
                let key = try? FileStatus.of(path: directory + "/" + text + ".key")
                out.append(
                    Item(
                        path: directory + "/" + text, content: ContentDigest(digest), bytes: status.size,
                        used: (key ?? status).modified))
            }
        }
        return out
    }

    /// Temporaries of processes that died.
    private func sweep() {
        for name in (try? DirectoryListing.names(of: root + "/tmp")) ?? [] {
            let path = root + "/tmp/" + String(decoding: name, as: UTF8.self)
            if let status = try? FileStatus.of(path: path), Clock.now().seconds - status.modified.seconds > 3600 {
                unlink(path)
            }
        }
    }
}
