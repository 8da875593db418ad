import DFSModel
import DFSStore
import DFSSystem
import Glibc
import Synchronization

/// Chunks that are kept for those who read in pieces, in bounded memory. One that several ask for at once is read once.
final class ChunkCache: Sendable {
    private let store: ObjectStore
    private let chunks: BoundedCache<ChunkID, ChunkMemory>
    private let pool = ChunkPool()
    private let loading = Turns<ChunkID>()
    private let counters: ReadCounters

    init(store: ObjectStore, limit: Int, counters: ReadCounters) {
        self.store = store
        self.counters = counters
        chunks = BoundedCache(limit: limit)
    }

    /// A chunk that is kept, or that another thread is just reading.
    func kept(_ id: ChunkID) -> ChunkMemory? {
        if let chunk = chunks[id] {
            counters.hits.increment()
            return chunk
        }
        guard loading.wait(for: id), let chunk = chunks[id] else { return nil }
        counters.hits.increment()
        return chunk
    }

    /// A chunk, kept from now on.
    func chunk(_ id: ChunkID, length: Int) throws(DFSError) -> ChunkMemory {
        if let chunk = kept(id) { return chunk }
        counters.misses.increment()
        let isFirst = loading.begin(id)
        defer { if isFirst { loading.end(id) } }
        return try load(id, length)
    }

    /// Reads a compressed chunk that nobody has asked for yet; failures are for whoever asks.
    func loadAhead(_ id: ChunkID, length: Int) {
        guard chunks[id] == nil, loading.begin(id) else { return }
        defer { loading.end(id) }
        guard (try? store.isCompressed(id)) == true, (try? load(id, length)) != nil else { return }
        counters.ahead.increment()
    }

    private func load(_ id: ChunkID, _ length: Int) throws(DFSError) -> ChunkMemory {
        let chunk = ChunkMemory(length, pool)
        let isCompressed = try store.read(chunk: id, into: chunk.bytes)
        (isCompressed ? counters.decompressed : counters.raw).increment(by: length)
        chunks.insert(chunk, for: id, cost: chunk.capacity + 64)
        return chunk
    }
}

/// The bytes of a chunk, outside arrays: their memory is used again, where arrays of this size would be mapped, cleared and
/// unmapped each time. Written once, by whoever makes it.
final class ChunkMemory: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer
    fileprivate let memory: UnsafeMutableRawBufferPointer
    private let pool: ChunkPool
    var capacity: Int { memory.count }

    fileprivate init(_ length: Int, _ pool: ChunkPool) {
        self.pool = pool
        memory = pool.take(length)
        bytes = UnsafeMutableRawBufferPointer(rebasing: memory[..<length])
    }

    deinit { pool.give(memory) }
}

/// Memory for chunks, in pieces of a few sizes. At most `limit` bytes are kept unused.
private final class ChunkPool: Sendable {
    private struct Free: @unchecked Sendable {
        var pieces = [Int: [UnsafeMutableRawBufferPointer]]()
        var bytes = 0
    }

    private static let step = 64 << 10
    private static let limit = 8 << 20
    private let free = Mutex(Free())

    func take(_ length: Int) -> UnsafeMutableRawBufferPointer {
        let size = max(1, (length + Self.step - 1) / Self.step) * Self.step
        let piece = free.withLock { free in
            let piece = free.pieces[size]?.popLast()
            if piece != nil { free.bytes -= size }
            return piece.map { Piece(memory: $0) }
        }
        return piece?.memory ?? .allocate(byteCount: size, alignment: 4096)
    }

    func give(_ memory: UnsafeMutableRawBufferPointer) {
        let piece = Piece(memory: memory)
        let isKept = free.withLock { free in
            guard free.bytes + piece.memory.count <= Self.limit else { return false }
            free.pieces[piece.memory.count, default: []].append(piece.memory)
            free.bytes += piece.memory.count
            return true
        }
        if !isKept { memory.deallocate() }
    }

    private struct Piece: @unchecked Sendable {
        let memory: UnsafeMutableRawBufferPointer
    }

    deinit { free.withLock { free in for piece in free.pieces.values.joined() { piece.deallocate() } } }
}

/// Who is at what, so that others can wait for it.
private final class Turns<Key: Hashable & Sendable>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let ended = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// Used under `mutex` only.
    private var keys = Set<Key>()

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(ended, nil)
    }

    deinit {
        pthread_cond_destroy(ended)
        pthread_mutex_destroy(mutex)
        ended.deallocate()
        mutex.deallocate()
    }

    /// Whether the caller is now at it, and must call `end`; else somebody is.
    func begin(_ key: Key) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return keys.insert(key).inserted
    }

    func end(_ key: Key) {
        pthread_mutex_lock(mutex)
        keys.remove(key)
        pthread_cond_broadcast(ended)
        pthread_mutex_unlock(mutex)
    }

    /// Waits as long as somebody is at it; whether anybody was.
    func wait(for key: Key) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        var waited = false
        while keys.contains(key) {
            waited = true
            pthread_cond_wait(ended, mutex)
        }
        return waited
    }
}
