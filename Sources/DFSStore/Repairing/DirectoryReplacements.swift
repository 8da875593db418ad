import DFSChunking
import DFSModel
import DFSSystem
import Glibc
import Synchronization

/// Bytes from the files of a plain directory: whole files of a length that is looked for, and chunks of larger files, cut
/// as the store cuts. Symlinks below it are not followed.
package final class DirectoryReplacements: ReplacementSource {
    private let root: [UInt8]
    private let parameters: StoreParameters
    private let threads: Int
    private let bytes: Counter
    private let found = Mutex<[Digest: Place]>([:])

    private enum Place: Sendable {
        case file(path: [UInt8], offset: UInt64, length: Int)
        /// A recipe, made again.
        case bytes([UInt8])
    }

    /// `bytes` counts what is read.
    package init(root: String, parameters: StoreParameters, threads: Int, bytes: Counter = Counter()) {
        self.root = Array(root.utf8)
        self.parameters = parameters
        self.threads = threads
        self.bytes = bytes
    }

    private enum Job: Sendable {
        case directory([UInt8])
        case file([UInt8], size: UInt64)
    }

    package func locate(_ wanted: [Digest: UInt32]) throws(DFSError) {
        let lengths = Set(wanted.values)
        found.withLock { $0 = [:] }
        let stack = WorkStack<Job>()
        stack.push(.directory(root))
        try stack.run(threads: threads) { _, job throws(DFSError) in
            switch job {
            case .directory(let path): stack.push(try self.list(path))
            case .file(let path, let size):
                if size > UInt64(self.parameters.chunk.maximum) {
                    self.cut(path, size, wanted)
                } else if lengths.contains(UInt32(size)) {
                    self.whole(path, Int(size), wanted)
                }
            }
        }
    }

    /// What cannot be read is only not found, but for the root, which somebody has named.
    private func list(_ path: [UInt8]) throws(DFSError) -> [Job] {
        let isRoot = path == root
        let directory: OwnedDescriptor, names: [[UInt8]]
        do throws(DFSError) {
            directory = try OwnedDescriptor.open(
                bytes: path, O_RDONLY | O_DIRECTORY | (isRoot ? 0 : O_NOFOLLOW), at: AT_FDCWD)
            names = try DirectoryListing.names(of: directory)
        } catch {
            guard isRoot else { return [] }
            let place = NameText.display(path)
            throw DFSError(
                .operational, "cannot look for replacements in \(place)", cause: error.cause, hint: "ls -ld \(place)/.",
                errno: error.errno)
        }
        return names.reversed().compactMap { name in
            guard let status = try? FileStatus.of(name, at: directory.raw) else { return nil }
            let path = path + [0x2f] + name
            switch status.kind {
            case .directory: return .directory(path)
            case .file: return .file(path, size: status.size)
            default: return nil
            }
        }
    }

    private func open(_ path: [UInt8]) -> OwnedDescriptor? {
        try? OwnedDescriptor.open(bytes: path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, at: AT_FDCWD)
    }

    private func note(_ digest: Digest, _ place: Place) {
        found.withLock { if $0[digest] == nil { $0[digest] = place } }
    }

    private func whole(_ path: [UInt8], _ size: Int, _ wanted: [Digest: UInt32]) {
        guard let bytes = read(path, 0, size) else { return }
        self.bytes.increment(by: size)
        let digest = Digest.of(bytes)
        if wanted[digest] != nil { note(digest, .file(path: path, offset: 0, length: size)) }
    }

    private func cut(_ path: [UInt8], _ size: UInt64, _ wanted: [Digest: UInt32]) {
        guard let file = open(path) else { return }
        let chunker = Chunker(parameters.chunking(for: size))
        let buffer = Buffer(count: 2 * chunker.parameters.maximum + (4 << 20))
        var whole = Hasher256()
        var chunks = [Recipe.Chunk]()
        var start: UInt64 = 0, filled = 0
        while true {
            let target = filled..<buffer.raw.count
            let display = { NameText.display(path) }
            guard let got = try? buffer.read(from: file, at: start + UInt64(filled), into: target, display) else {
                return
            }
            bytes.increment(by: got)
            filled += got
            let isLast = filled < buffer.raw.count
            var at = 0
            while at < filled {
                let rest = UnsafeRawBufferPointer(rebasing: buffer.raw[at..<filled])
                let length = chunker.cut(rest, final: isLast)
                if length == 0 { break }
                let chunk = UnsafeRawBufferPointer(rebasing: rest[..<length])
                let digest = Digest.of(chunk)
                whole.update(chunk)
                chunks.append(Recipe.Chunk(id: ChunkID(digest), length: UInt32(length)))
                if wanted[digest] != nil {
                    note(digest, .file(path: path, offset: start + UInt64(at), length: length))
                }
                at += length
            }
            if isLast { break }
            if let base = buffer.raw.baseAddress { memmove(base, base + at, filled - at) }
            start += UInt64(at)
            filled -= at
        }
        let length = chunks.reduce(0) { $0 + UInt64($1.length) }
        let recipe = Recipe(size: length, content: ContentDigest(whole.finish()), chunks: chunks).encode()
        let digest = Digest.of(recipe)
        if wanted[digest] != nil { note(digest, .bytes(recipe)) }
    }

    private func read(_ path: [UInt8], _ offset: UInt64, _ length: Int) -> [UInt8]? {
        guard let file = open(path) else { return nil }
        var isWhole = true
        let bytes = [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
            do {
                let target = UnsafeMutableRawBufferPointer(buffer)
                try Files.read(
                    into: UnsafeMutableRawBufferPointer(rebasing: target[..<length]), from: file.raw, at: offset,
                    what: NameText.display(path))
                count = length
            } catch { isWhole = false }
        }
        return isWhole ? bytes : nil
    }

    package func content(of digest: Digest) -> [UInt8]? {
        switch found.withLock({ $0[digest] }) {
        case .bytes(let bytes): return bytes
        case .file(let path, let offset, let length):
            guard let bytes = read(path, offset, length), Digest.of(bytes) == digest else { return nil }
            return bytes
        case nil: return nil
        }
    }

    package func stored(_ item: PackItem, of pack: PackID) -> [UInt8]? { nil }

    package func table(of pack: PackID) -> PackIndex? { nil }
}
