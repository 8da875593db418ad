import DFSChunking
import DFSModel
import DFSRemote
import DFSSystem

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
        case .raw: try open(pack).read(into: target, at: item.offset)
        case .zstd:
            let stored = try stored(item, of: pack)
            try withBytes(of: stored) { (frame) throws(DFSError) in
                do throws(DFSError) {
                    try Zstd.check(frame, length: target.count)
                    try Zstd.decompress(frame, into: target)
                } catch { throw damaged(item, pack, error.cause ?? error.what) }
            }
        }
        #if DEBUG || DFS_DEFECTS
            if Defect.skipHash.isPlanted { return }
        #endif
        guard Digest.of(UnsafeRawBufferPointer(target)) == item.digest else {
            throw damaged(item, pack, "its bytes have another SHA-256")
        }
    }

    /// Whether reading a chunk means decompressing it; `nil` when this host does not know where it lies.
    package func isCompressed(_ id: ChunkID) throws(DFSError) -> Bool? {
        try table.place(of: id.digest).map { $0.item.codec == .zstd }
    }
}
