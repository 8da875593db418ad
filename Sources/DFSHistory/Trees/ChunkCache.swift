import DFSModel
import DFSStore
import DFSSystem
import Glibc

/// Chunks that are kept for those who read in pieces, in bounded memory. One that several ask for at once is read once.
final class ChunkCache: Sendable {
    private let store: ObjectStore
    private let chunks: BoundedCache<ChunkID, [UInt8]>
    private let loading = Turns<ChunkID>()
    private let counters: ReadCounters

    init(store: ObjectStore, limit: Int, counters: ReadCounters) {
        self.store = store
        self.counters = counters
        chunks = BoundedCache(limit: limit)
    }

    /// A chunk that is kept, or that another thread is just reading.
    func kept(_ id: ChunkID) -> [UInt8]? {
        if let chunk = chunks[id] {
            counters.hits.increment()
            return chunk
        }
        guard loading.wait(for: id), let chunk = chunks[id] else { return nil }
        counters.hits.increment()
        return chunk
    }

    /// A chunk, kept from now on.
    func chunk(_ id: ChunkID) throws(DFSError) -> [UInt8] {
        if let chunk = kept(id) { return chunk }
        counters.misses.increment()
        let isFirst = loading.begin(id)
        defer { if isFirst { loading.end(id) } }
        return try load(id)
    }

    /// Reads a compressed chunk that nobody has asked for yet; failures are for whoever asks.
    func loadAhead(_ id: ChunkID) {
        guard chunks[id] == nil, loading.begin(id) else { return }
        defer { loading.end(id) }
        guard (try? store.isCompressed(id)) == true, (try? load(id)) != nil else { return }
        counters.ahead.increment()
    }

    private func load(_ id: ChunkID) throws(DFSError) -> [UInt8] {
        let isCompressed = try store.isCompressed(id) == true
        let chunk = try store.chunk(id)
        (isCompressed ? counters.decompressed : counters.raw).increment(by: chunk.count)
        chunks.insert(chunk, for: id, cost: chunk.count + 64)
        return chunk
    }
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
