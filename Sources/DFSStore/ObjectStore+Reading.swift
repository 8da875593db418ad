import DFSChunking
import DFSModel
import DFSRemote
import DFSSystem
import Glibc
import Synchronization

/// Reading chunks to where they are wanted, without arrays in between.
extension ObjectStore {
    /// What `read` found: how many chunks, their bytes, and whether they had to be decompressed.
    package struct ChunkRun: Sendable {
        package var chunks: Int
        package var bytes: Int
        package var isCompressed: Bool
    }

    /// Fills the beginning of `target` with the chunks of `recipe` from number `first` on: those raw ones that lie together
    /// and fit, by one read, or else the first one alone, which must fit. Each is checked against its digest.
    package func read(
        chunksOf recipe: Recipe, from first: Int, into target: UnsafeMutableRawBufferPointer
    ) throws(DFSError) -> ChunkRun {
        if let run = try run(at: first, of: recipe, limit: target.count),
            try read(run, recipe.chunks[first..<first + run.count], into: target)
        {
            return ChunkRun(chunks: run.count, bytes: run.bytes, isCompressed: false)
        }
        let chunk = recipe.chunks[first]
        let room = UnsafeMutableRawBufferPointer(rebasing: target[..<Int(chunk.length)])
        return ChunkRun(
            chunks: 1, bytes: Int(chunk.length), isCompressed: try read(chunk: chunk.id, into: room))
    }

    /// Fills `target`, which is as long as the chunk; whether it had to be decompressed.
    package func read(chunk id: ChunkID, into target: UnsafeMutableRawBufferPointer) throws(DFSError) -> Bool {
        if let place = try table.place(of: id.digest), Int(place.item.length) == target.count {
            do throws(DFSError) {
                try read(place.item, of: place.pack, into: target)
                return place.item.codec == .zstd
            } catch {
                guard error.code == .corrupt else { throw error }
                // The file may have been repaired since it was opened; and another pack may have it.
                close(place.pack)
            }
        }
        let bytes = try chunk(id)
        guard bytes.count == target.count else {
            throw DFSError(
                .corrupt, "chunk \(id) has another length", cause: "\(bytes.count) bytes instead of \(target.count)",
                hint: "dfs verify")
        }
        target.copyBytes(from: bytes)
        return false
    }

    private func read(
        _ item: PackItem, of pack: PackID, into target: UnsafeMutableRawBufferPointer
    ) throws(DFSError) {
        switch item.codec {
        case .raw: try readPack(pack, into: target, at: item.offset)
        case .zstd:
            // Memory that is used again: fresh memory of this size would be mapped, cleared and unmapped each time.
            let buffer = scratch.take(Int(item.storedLength))
            defer { scratch.give(buffer) }
            let stored = UnsafeMutableRawBufferPointer(rebasing: buffer.raw[..<Int(item.storedLength)])
            try readPack(pack, into: stored, at: item.offset)
            do throws(DFSError) {
                try Zstd.check(UnsafeRawBufferPointer(stored), length: target.count)
                try Zstd.decompress(UnsafeRawBufferPointer(stored), into: target)
            } catch { throw damaged(item, pack, error.cause ?? error.what) }
        }
        #if DEBUG || DFS_DEFECTS
            if Defect.skipHash.isPlanted { return }
        #endif
        guard Digest.of(UnsafeRawBufferPointer(target)) == item.digest else {
            throw damaged(item, pack, "its bytes have another SHA-256")
        }
    }

    /// Reads a range of a pack; where memory is short, lets go of its pages.
    func readPack(
        _ pack: PackID, into target: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(DFSError) {
        let object = try open(pack)
        try object.read(into: target, at: offset)
        guard keepsNoPages.load(ordering: .relaxed), let file = object.descriptor else { return }
        // To the end of the block: only zeros follow what is aligned, and what is not is read by others too.
        let end = (offset + UInt64(target.count) + 4095) / 4096 * 4096
        _ = posix_fadvise(file.raw, off_t(offset), off_t(end - offset), POSIX_FADV_DONTNEED)
    }

    /// Whether reading a chunk means decompressing it; `nil` when this host does not know where it lies.
    package func isCompressed(_ id: ChunkID) throws(DFSError) -> Bool? {
        try table.place(of: id.digest).map { $0.item.codec == .zstd }
    }
}

/// Buffers of up to a megabyte, used again. At most eight are kept.
final class ScratchBuffers: Sendable {
    private static let size = 1 << 20
    private let free = Mutex<[Buffer]>([])

    func take(_ count: Int) -> Buffer {
        guard count <= Self.size else { return Buffer(count: count) }
        return free.withLock { $0.popLast() } ?? Buffer(count: Self.size)
    }

    func give(_ buffer: Buffer) {
        guard buffer.raw.count == Self.size else { return }
        free.withLock { if $0.count < 8 { $0.append(buffer) } }
    }
}
