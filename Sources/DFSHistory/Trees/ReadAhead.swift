import DFSModel
import DFSStore
import DFSSystem
import Glibc
import Synchronization

/// Decompresses what comes next of files that are read in order, on threads of its own.
///
/// Order is seen per file, whoever reads: requests of one reader arrive on several threads and may overtake each other.
final class ReadAhead: Sendable {
    /// How far ahead of the last request, and by how much requests may be out of order.
    private static let window: UInt64 = 4 << 20

    private struct Stream: Sendable {
        var next: UInt64
        /// Up to where chunks were asked for.
        var scheduled: UInt64
    }

    private let cache: ChunkCache
    private let streams = BoundedCache<ContentDigest, Stream>(limit: 128)
    private let queue: ChunkQueue

    init(cache: ChunkCache) {
        self.cache = cache
        queue = ChunkQueue(threads: min(4, Workers.processorCount)) { cache.loadAhead($0) }
    }

    deinit { queue.close() }

    /// `count` bytes at `offset` of a compressed file were asked for.
    func note(_ file: ContentDigest, _ recipe: Recipe, at offset: UInt64, count: Int) {
        let end = offset + UInt64(count)
        guard var stream = streams[file], offset <= stream.next + Self.window, end + Self.window >= stream.next else {
            // A first look, or a jump: the next request shows whether it goes on from here.
            streams.insert(Stream(next: end, scheduled: end), for: file, cost: 1)
            return
        }
        stream.next = max(stream.next, end)
        let from = max(stream.scheduled, stream.next), to = min(stream.next + Self.window, recipe.size)
        // In portions, so that the threads are not woken for each chunk.
        if to > from, to - from >= Self.window / 4 || to == recipe.size {
            var i = recipe.index(at: from)
            var ids = [ChunkID]()
            while i < recipe.chunks.count, recipe.starts[i] < to {
                ids.append(recipe.chunks[i].id)
                i += 1
            }
            queue.add(ids)
            stream.scheduled = to
        }
        streams.insert(stream, for: file, cost: 1)
    }
}

/// Chunks to be read by threads that wait for them. More than `capacity` waiting ones are passed over.
private final class ChunkQueue: @unchecked Sendable {
    private static let capacity = 512
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    // Used under `mutex` only.
    private var waiting = [ChunkID]()
    private var started = 0
    private var isClosed = false

    private let threads: Int
    private let body: @Sendable (ChunkID) -> Void

    init(threads: Int, body: @escaping @Sendable (ChunkID) -> Void) {
        self.threads = threads
        self.body = body
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    private func locked<R>(_ body: () -> R) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    func add(_ ids: [ChunkID]) {
        let missing = locked {
            waiting.append(contentsOf: ids.prefix(Self.capacity - min(Self.capacity, waiting.count)))
            pthread_cond_broadcast(changed)
            defer { started = threads }
            return threads - started
        }
        // Started when first needed; without them readers decompress for themselves.
        for _ in 0..<missing where !Workers.detach({ self.work() }) {}
    }

    /// Ends the threads.
    func close() {
        locked {
            isClosed = true
            pthread_cond_broadcast(changed)
        }
    }

    private func work() {
        while let id = next() { body(id) }
    }

    private func next() -> ChunkID? {
        locked {
            while waiting.isEmpty, !isClosed { pthread_cond_wait(changed, mutex) }
            return isClosed ? nil : waiting.removeFirst()
        }
    }
}
