import DFSChunking
import DFSModel
import DFSSystem
import Glibc

/// Stores file content for one thread of a writer.
///
/// Has two packs open at most: one whose raw files start at 4 KiB boundaries, and one that is packed tight (compressed
/// chunks and files below 4 KiB). Used by one thread; `finish` must be called once.
package final class Lane {
    let writer: StoreWriter
    private var aligned: PackWriter?
    private var tight: PackWriter?
    private let small: Buffer
    /// For files of several chunks, as large as the last one needed; larger ones than `keptBuffer` get their own.
    private var medium: Buffer?
    private static let keptBuffer = 8 << 20
    /// Where the raw chunk that was written last ends: in its pack and in its file.
    private var run: (packEnd: UInt64, fileEnd: UInt64)?

    init(writer: StoreWriter) {
        self.writer = writer
        small = Buffer(count: writer.store.parameters.chunk.maximum + 1)
    }

    /// What a file became.
    package struct Stored: Sendable, Equatable {
        package let content: ContentDigest
        package let size: UInt64
        package let recipe: ObjectAddress?
        /// The recipe's own bytes.
        package let encodedRecipe: [UInt8]?
    }

    var parameters: StoreParameters { writer.store.parameters }

    /// Reads an open regular file from its start and stores what is not stored yet.
    ///
    /// `size` is what fstat said, `path` what errors call the file. Throws `.refused` when the file ends elsewhere: it is
    /// being written.
    package func store(
        _ file: OwnedDescriptor, size: UInt64, path: @escaping @Sendable () -> String
    ) throws(DFSError) -> Stored {
        if size <= UInt64(parameters.chunk.maximum) { return try storeSmall(file, size: Int(size), path) }
        if size < parameters.singleFile { return try storeMedium(file, size: Int(size), path) }
        return try writer.largeFile.hold { () throws(DFSError) in
            try LargeFile(lane: self, file: file, size: size, path: path).store()
        }
    }

    // MARK: Small and medium files

    private func storeSmall(_ file: OwnedDescriptor, size: Int, _ path: () -> String) throws(DFSError) -> Stored {
        try small.fill(from: file, size: size, path)
        return try storeChunkFile(small.bytes(size))
    }

    /// A file of one chunk: its chunk id is its content digest.
    private func storeChunkFile(_ bytes: UnsafeRawBufferPointer) throws(DFSError) -> Stored {
        let digest = Digest.of(bytes)
        let stored = Stored(content: ContentDigest(digest), size: UInt64(bytes.count), recipe: nil, encodedRecipe: nil)
        guard try writer.claim(digest) == .new else { return stored }
        if let frame = try compressed(bytes) {
            try appendTight(frame, digest, length: bytes.count)
        } else if bytes.count < 4096 {
            let pack = try tightPack()
            try pack.append(bytes, digest: digest, length: bytes.count, codec: .raw)
            note(bytes.count)
        } else {
            let pack = try alignedPack(toAdd: bytes.count)
            try pack.pad()
            try pack.append(bytes, digest: digest, length: bytes.count, codec: .raw)
            try pack.pad()
            note(bytes.count)
        }
        return stored
    }

    private func storeMedium(_ file: OwnedDescriptor, size: Int, _ path: () -> String) throws(DFSError) -> Stored {
        let buffer: Buffer
        if let medium, medium.raw.count > size { buffer = medium } else { buffer = Buffer(count: size + 1) }
        if size <= Self.keptBuffer { medium = buffer }
        try buffer.fill(from: file, size: size, path)
        return try storeExtent(buffer.bytes(size))
    }

    /// A file of several chunks that is in memory.
    private func storeExtent(_ bytes: UnsafeRawBufferPointer) throws(DFSError) -> Stored {
        let chunker = Chunker(parameters.chunking(for: UInt64(bytes.count)))
        var chunks = [Recipe.Chunk](), ranges = [Range<Int>]()
        var start = 0
        while start < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
            let length = chunker.cut(rest, final: true)
            let digest = Digest.of(UnsafeRawBufferPointer(rebasing: rest[..<length]))
            chunks.append(Recipe.Chunk(id: ChunkID(digest), length: UInt32(length)))
            ranges.append(start..<start + length)
            start += length
        }
        let content = ContentDigest(Digest.of(bytes))
        let recipe = Recipe(size: UInt64(bytes.count), content: content, chunks: chunks)
        let compress = Zstd.isWorthwhile(bytes, percent: parameters.zstdSaves)
        beginFile()
        var hasRoom = compress
        for (chunk, range) in zip(chunks, ranges) where try writer.claim(chunk.id.digest) == .new {
            // The chunks of a raw file lie one after the other, in one pack; one that has none that is new opens none.
            if !hasRoom { _ = try alignedPack(toAdd: bytes.count - range.lowerBound) }
            hasRoom = true
            let piece = UnsafeRawBufferPointer(rebasing: bytes[range])
            try append(piece, chunk.id.digest, fileOffset: UInt64(range.lowerBound), compress: compress)
        }
        try aligned?.pad()
        let encoded = recipe.encode()
        return Stored(
            content: content, size: UInt64(bytes.count), recipe: try writer.put(encoded), encodedRecipe: encoded)
    }

    /// One chunk of a larger file: a zstd frame, or raw at a place that agrees with its place in the file modulo 4 KiB, so
    /// that it can be mapped.
    func append(
        _ bytes: UnsafeRawBufferPointer, _ digest: Digest, fileOffset: UInt64, compress: Bool
    ) throws(DFSError) {
        if compress, let frame = try compressed(bytes) {
            return try appendTight(frame, digest, length: bytes.count)
        }
        let isContinued = run != nil && run?.packEnd == aligned?.length && run?.fileEnd == fileOffset
        let pack = try alignedPack(toAdd: isContinued ? 0 : bytes.count)
        if !isContinued || run?.packEnd != pack.length {
            // A mapped range must be followed by zeros, so what came before ends at a boundary.
            try pack.pad()
            try pack.pad(to: fileOffset % 4096)
        }
        try pack.append(bytes, digest: digest, length: bytes.count, codec: .raw)
        run = (pack.length, fileOffset + UInt64(bytes.count))
        note(bytes.count)
    }

    /// Before the first chunk of a file: nothing of it follows what was written last.
    func beginFile() { run = nil }

    /// The frame, when compressing saves enough.
    func compressed(_ bytes: UnsafeRawBufferPointer) throws(DFSError) -> [UInt8]? {
        guard bytes.count >= 256, Zstd.isWorthwhile(bytes, percent: parameters.zstdSaves) else { return nil }
        let frame = try Zstd.compress(bytes, level: parameters.zstdLevel)
        return frame.count <= bytes.count * (100 - parameters.zstdSaves) / 100 ? frame : nil
    }

    func appendTight(_ frame: [UInt8], _ digest: Digest, length: Int) throws(DFSError) {
        let pack = try tightPack()
        pack.note(digest, storedLength: frame.count, length: length, codec: .zstd)
        try pack.write(frame)
        note(frame.count)
    }

    func note(_ bytes: Int) {
        writer.storedBytes.increment(by: bytes)
        writer.newChunks.increment()
    }

    // MARK: Packs

    private func tightPack() throws(DFSError) -> PackWriter {
        if let pack = tight, pack.length < parameters.packTarget { return pack }
        if let pack = tight { writer.note(finished: try pack.finish()) }
        let pack = try PackWriter(backend: writer.store.backend, kind: .shared)
        tight = pack
        return pack
    }

    private func alignedPack(toAdd count: Int) throws(DFSError) -> PackWriter {
        if let pack = aligned, pack.length + UInt64(count) <= parameters.packTarget || pack.length == 0 { return pack }
        if let pack = aligned {
            try pack.pad()
            writer.note(finished: try pack.finish())
        }
        let pack = try PackWriter(backend: writer.store.backend, kind: .shared)
        aligned = pack
        return pack
    }

    /// Publishes what is open.
    package func finish() throws(DFSError) {
        if let pack = aligned {
            try pack.pad()
            writer.note(finished: try pack.finish())
        }
        if let pack = tight { writer.note(finished: try pack.finish()) }
        aligned = nil
        tight = nil
    }
}

/// Lends the bytes of an array to a throwing body.
func withBytes<R>(
    of bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(DFSError) -> R
) throws(DFSError) -> R {
    var result: Result<R, DFSError>?
    bytes.withUnsafeBytes { buffer in
        do throws(DFSError) { result = .success(try body(buffer)) } catch { result = .failure(error) }
    }
    guard let result else { throw DFSError(.operational, "no bytes were lent") }
    return try result.get()
}
