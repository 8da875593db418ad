import CLinux
import DFSChunking
import DFSModel
import DFSStore
import DFSSystem
import Glibc
import Synchronization

/// What a capture has read and which packs it has published, so that one that was interrupted need not read it again.
///
/// A host-local file for each scope: derived, never shared, worth only time. Blocks of records, each block with a checksum;
/// what does not match is passed over. A record of a file is believed when its status is still the same and every chunk
/// of it lies in a pack that stands in the store and was made durable again.
package final class IngestJournal: Sendable {
    private let file: OwnedDescriptor
    private let path: String
    /// Records to be written, one buffer for each thread.
    private let buffers: [PendingRecords]
    private let resumed: Resumed

    private final class PendingRecords: Sendable { let bytes = Mutex<[UInt8]>([]) }

    private static let blockBytes = 64 << 10
    private static let magic: UInt64 = 0x314a_5346_4544_4744
    private static let headerBytes = 48

    /// Opens the journal of `scope` below `directory`, or makes it; `nil` when another process uses it or when it cannot be
    /// had: then nothing is resumed. `threads`: how many lanes will write.
    package static func open(directory: String, scope: String, threads: Int) -> IngestJournal? {
        let path = directory + "/" + Digest.of(Array(scope.utf8)).hex.prefix(24) + ".journal"
        guard (try? Files.makeDirectories(directory, mode: 0o700)) != nil,
            let file = try? OwnedDescriptor.open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW)
        else { return nil }
        // The lock is this host's: the journal never lies on a shared file system that other hosts use.
        guard flock(file.raw, LOCK_EX | LOCK_NB) == 0 else { return nil }
        return IngestJournal(file: file, path: path, threads: threads)
    }

    private init(file: OwnedDescriptor, path: String, threads: Int) {
        self.file = file
        self.path = path
        buffers = (0..<threads).map { _ in PendingRecords() }
        let bytes = (try? Files.read(file, what: path, limit: 1 << 34)) ?? []
        resumed = Resumed(bytes)
    }

    /// Packs that the interrupted captures have published.
    package var packs: [PackID] { resumed.packs.filter { !resumed.refused.contains($0) } }

    /// Removes the journal: what it says is in the ledger now, or of no more use.
    package func remove() { unlink(path) }

    // MARK: Writing

    /// A pack was published: durable, but no entry names it yet.
    func note(pack: PackID) {
        var record: [UInt8] = [Record.pack]
        pack.digest.appendBytes(to: &record)
        append(record)
        // Records of files are of use from the moment at which their packs are.
        flush()
    }

    /// A pack of an earlier capture could not be made durable: it must never be relied on.
    func note(refused pack: PackID) {
        var record: [UInt8] = [Record.refused]
        pack.digest.appendBytes(to: &record)
        append(record)
    }

    /// Writes what the threads have noted so far.
    func flush() {
        for buffer in buffers {
            let records = buffer.bytes.withLock { bytes in
                defer { bytes.removeAll(keepingCapacity: true) }
                return bytes
            }
            if !records.isEmpty { append(records) }
        }
    }

    /// A file was read and what is new of it handed to the writer.
    func note(_ status: FileStatus, _ stored: Lane.Stored, thread: Int) {
        let full = buffers[thread].bytes.withLock { buffer -> [UInt8]? in
            Record.append(status, stored, to: &buffer)
            guard buffer.count >= Self.blockBytes else { return nil }
            defer { buffer.removeAll(keepingCapacity: true) }
            return buffer
        }
        if let full { append(full) }
    }

    /// One write, so that blocks of several threads do not mix. A journal that cannot be written costs time later and is no
    /// failure.
    private func append(_ records: [UInt8]) {
        var block = [UInt8]()
        block.reserveCapacity(records.count + Self.headerBytes)
        withUnsafeBytes(of: (Self.magic.littleEndian, UInt64(records.count).littleEndian)) {
            block.append(contentsOf: $0)
        }
        Digest.of(records).appendBytes(to: &block)
        block += records
        _ = block.withUnsafeBytes { write(file.raw, $0.baseAddress, $0.count) }
    }

    // MARK: Resuming

    /// The content of a file that an interrupted capture has read, when all of it is held by `writer`.
    func content(
        of status: FileStatus, in writer: StoreWriter
    ) throws(DFSError) -> (content: ContentDigest, recipe: ObjectAddress?)? {
        guard let record = resumed.record(of: status) else { return nil }
        guard let encoded = record.recipe else {
            return try writer.use(record.content.digest) ? (record.content, nil) : nil
        }
        guard let recipe = try? Recipe.decode(encoded), recipe.size == status.size, recipe.content == record.content
        else { return nil }
        for chunk in recipe.chunks {
            guard try writer.use(chunk.id.digest) else { return nil }
        }
        return (record.content, try writer.put(encoded))
    }

    /// The forms of records. All integers are little-endian.
    private enum Record {
        static let pack: UInt8 = 1
        static let file: UInt8 = 2
        static let refused: UInt8 = 3
        /// Of a file's record, without its recipe.
        static let fileBytes = 1 + 8 + 8 + 8 + 12 + 12 + 32 + 4

        static func append(_ status: FileStatus, _ stored: Lane.Stored, to out: inout [UInt8]) {
            out.append(file)
            out.appendInteger(status.inode)
            out.appendInteger(status.device)
            out.appendInteger(status.size)
            for time in [status.modified, status.changed] {
                out.appendInteger(time.seconds)
                out.appendInteger(time.nanoseconds)
            }
            stored.content.digest.appendBytes(to: &out)
            out.appendInteger(UInt32(stored.encodedRecipe?.count ?? 0))
            if let recipe = stored.encodedRecipe { out += recipe }
        }
    }

    /// What earlier captures left: the journal's bytes, and where the record of each inode begins.
    private struct Resumed: Sendable {
        struct Found {
            let content: ContentDigest
            let recipe: [UInt8]?
        }

        private let bytes: [UInt8]
        private var files = [(inode: UInt64, at: Int)]()
        private(set) var packs = [PackID]()
        private(set) var refused = Set<PackID>()

        init(_ bytes: [UInt8]) {
            self.bytes = bytes
            var at = 0
            while at + headerBytes <= bytes.count {
                let length = integer(UInt64.self, at + 8)
                let end = at + headerBytes + Int(truncatingIfNeeded: min(length, 1 << 34))
                guard integer(UInt64.self, at) == magic, end <= bytes.count, isSound(at + headerBytes..<end) else {
                    // A torn block: the next begins at the next magic number.
                    at += 1
                    continue
                }
                take(at + headerBytes..<end)
                at = end
            }
            // Of two records of one file the later one comes last.
            files.sort { ($0.inode, $0.at) < ($1.inode, $1.at) }
        }

        private func isSound(_ range: Range<Int>) -> Bool {
            bytes.withUnsafeBytes { raw in
                Digest.of(UnsafeRawBufferPointer(rebasing: raw[range]))
                    == Digest(loading: raw, at: range.lowerBound - Digest.byteCount)
            }
        }

        private func integer<T: FixedWidthInteger>(_ type: T.Type, _ at: Int) -> T {
            bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: at, as: T.self)) }
        }

        private mutating func take(_ range: Range<Int>) {
            var at = range.lowerBound
            while at < range.upperBound {
                switch bytes[at] {
                case Record.pack where at + 33 <= range.upperBound, Record.refused where at + 33 <= range.upperBound:
                    let pack = PackID(bytes.withUnsafeBytes { Digest(loading: $0, at: at + 1) })
                    if bytes[at] == Record.pack { packs.append(pack) } else { refused.insert(pack) }
                    at += 33
                case Record.file where at + Record.fileBytes <= range.upperBound:
                    let end = at + Record.fileBytes + Int(integer(UInt32.self, at + Record.fileBytes - 4))
                    guard end <= range.upperBound else { return }
                    files.append((integer(UInt64.self, at + 1), at))
                    at = end
                default: return
                }
            }
        }

        func record(of status: FileStatus) -> Found? {
            var low = 0, high = files.count
            while low < high {
                let middle = (low + high) / 2
                if files[middle].inode <= status.inode { low = middle + 1 } else { high = middle }
            }
            while low > 0, files[low - 1].inode == status.inode {
                low -= 1
                if let found = found(at: files[low].at, status) { return found }
            }
            return nil
        }

        private func found(at: Int, _ status: FileStatus) -> Found? {
            func time(_ offset: Int) -> Timestamp {
                Timestamp(seconds: integer(Int64.self, offset), nanoseconds: integer(UInt32.self, offset + 8))
            }
            guard integer(UInt64.self, at + 9) == status.device, integer(UInt64.self, at + 17) == status.size,
                time(at + 25) == status.modified, time(at + 37) == status.changed
            else { return nil }
            let content = ContentDigest(bytes.withUnsafeBytes { Digest(loading: $0, at: at + 49) })
            let start = at + Record.fileBytes, length = Int(integer(UInt32.self, start - 4))
            return Found(content: content, recipe: length > 0 ? Array(bytes[start..<start + length]) : nil)
        }
    }
}
