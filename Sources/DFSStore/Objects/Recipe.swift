import DFSModel

/// The chunks of a large file in order (FORMAT.md §4.3).
package struct Recipe: Sendable, Equatable {
    package struct Chunk: Sendable, Equatable {
        package let id: ChunkID
        package let length: UInt32
        package init(id: ChunkID, length: UInt32) {
            self.id = id
            self.length = length
        }
    }

    package let size: UInt64
    package let content: ContentDigest
    package let chunks: [Chunk]
    /// Where each chunk starts in the file.
    package let starts: [UInt64]

    package init(size: UInt64, content: ContentDigest, chunks: [Chunk]) {
        self.size = size
        self.content = content
        self.chunks = chunks
        var at: UInt64 = 0
        starts = chunks.map { chunk in
            defer { at &+= UInt64(chunk.length) }
            return at
        }
    }

    package func encode() -> [UInt8] {
        var out = Array("DFSR".utf8) + [1, 0, 0, 0]
        out.reserveCapacity(48 + chunks.count * 36)
        out.appendInteger(size)
        content.digest.appendBytes(to: &out)
        for chunk in chunks {
            chunk.id.digest.appendBytes(to: &out)
            out.appendInteger(chunk.length)
        }
        return out
    }

    package static func decode(_ bytes: [UInt8]) throws(DFSError) -> Recipe {
        var r = BinaryReader(bytes, what: "recipe")
        try r.expect(Array("DFSR".utf8), "no DFSR")
        guard try r.integer(UInt8.self) == 1 else {
            throw DFSError(.newerFormat, "a recipe of a newer format", hint: "install a newer dfs")
        }
        try r.expect([0, 0, 0], "reserved bytes set")
        let size = try r.integer(UInt64.self)
        let content = ContentDigest(try r.digest())
        guard r.remaining % 36 == 0 else { throw r.problem("bytes after the last chunk") }
        var chunks = [Chunk]()
        chunks.reserveCapacity(r.remaining / 36)
        var sum: UInt64 = 0
        while r.remaining > 0 {
            let id = ChunkID(try r.digest())
            let length = try r.integer(UInt32.self)
            guard length > 0, length <= 16 << 20 else { throw r.problem("implausible chunk length") }
            sum += UInt64(length)
            chunks.append(Chunk(id: id, length: length))
        }
        guard sum == size else { throw r.problem("chunk lengths do not add up") }
        return Recipe(size: size, content: content, chunks: chunks)
    }

    /// The index of the chunk that holds byte `offset`, which must be below `size`.
    package func index(at offset: UInt64) -> Int {
        var low = 0, high = starts.count
        while low < high {
            let middle = (low + high) / 2
            if starts[middle] <= offset { low = middle + 1 } else { high = middle }
        }
        return low - 1
    }
}
