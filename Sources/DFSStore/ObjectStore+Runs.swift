import DFSChunking
import DFSModel
import DFSRemote
import DFSSystem

extension ObjectStore {
    /// Bytes of a large file that are read at once.
    private static let runBytes = 2 << 20

    /// Calls `body` with the content of a file piece by piece, in order, each chunk checked against its digest. Chunks that lie
    /// one after the other in a pack, as those of a raw file do, are read together.
    package func forEachPiece(
        of recipe: Recipe, _ body: (UnsafeRawBufferPointer) throws(DFSError) -> Void
    ) throws(DFSError) {
        var buffer: Buffer?
        var i = 0
        while i < recipe.chunks.count {
            let run = try self.run(at: i, of: recipe, limit: Self.runBytes)
            let target = buffer ?? Buffer(count: Self.runBytes)
            buffer = target
            if let run, try read(run, recipe.chunks[i..<i + run.count], into: target.raw) {
                try body(target.bytes(run.bytes))
                i += run.count
            } else {
                // Compressed, alone, or damaged where it was looked for first.
                try withBytes(of: try chunk(recipe.chunks[i].id)) { (bytes) throws(DFSError) in try body(bytes) }
                i += 1
            }
        }
    }

    struct Run {
        let pack: PackID
        let offset: UInt64
        var count = 0
        var bytes = 0
    }

    /// The raw chunks from number `first` on that lie together, of at most `limit` bytes; `nil` when there are not two.
    func run(at first: Int, of recipe: Recipe, limit: Int) throws(DFSError) -> Run? {
        var run: Run?
        for chunk in recipe.chunks[first...] {
            guard let place = try table.place(of: chunk.id.digest), place.item.codec == .raw,
                place.item.length == chunk.length
            else { break }
            var longer = run ?? Run(pack: place.pack, offset: place.item.offset)
            guard place.pack == longer.pack, place.item.offset == longer.offset + UInt64(longer.bytes),
                longer.bytes + Int(chunk.length) <= limit
            else { break }
            longer.count += 1
            longer.bytes += Int(chunk.length)
            run = longer
        }
        return run.flatMap { $0.count > 1 ? $0 : nil }
    }

    /// Fills `buffer`; `false` when the pack does not hold what it should.
    func read(
        _ run: Run, _ chunks: ArraySlice<Recipe.Chunk>, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DFSError) -> Bool {
        let target = UnsafeMutableRawBufferPointer(rebasing: buffer[..<run.bytes])
        do throws(DFSError) { try readPack(run.pack, into: target, at: run.offset) } catch {
            guard error.code == .corrupt else { throw error }
            return false
        }
        #if DEBUG || DFS_DEFECTS
            if Defect.skipHash.isPlanted { return true }
        #endif
        var at = 0
        for chunk in chunks {
            let piece = UnsafeRawBufferPointer(rebasing: target[at..<at + Int(chunk.length)])
            guard Digest.of(piece) == chunk.id.digest else { return false }
            at += Int(chunk.length)
        }
        return true
    }
}
