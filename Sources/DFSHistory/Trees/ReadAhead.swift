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
    private static let capacity = 64
    /// Nanoseconds after which a reader is taken to have stopped.
    private static let patience: UInt64 = 2_000_000_000

    private struct Stream: Sendable {
        var next: UInt64
        /// Up to where chunks were asked for.
        var scheduled: UInt64
        var seen: UInt64
    }

    private let streams = Mutex<[ContentDigest: Stream]>([:])
    /// What all streams together may be ahead, so that no chunk goes before it was used.
    private let budget: UInt64
    private let queue: ChunkQueue

    init(cache: ChunkCache, budget: Int) {
        self.budget = UInt64(budget)
        queue = ChunkQueue(threads: min(4, Workers.processorCount)) { cache.loadAhead($0, length: $1) }
    }

    deinit { queue.close() }

    /// A compressed file is read up to `end`: from now on its readers are followed.
    func follow(_ file: ContentDigest, upTo end: UInt64) {
        let now = Clock.monotonic()
        streams.withLock { streams in
            guard streams[file] == nil else { return }
            if streams.count >= Self.capacity, let oldest = streams.min(by: { $0.value.seen < $1.value.seen })?.key {
                streams[oldest] = nil
            }
            streams[file] = Stream(next: end, scheduled: end, seen: now)
        }
    }

    /// `count` bytes at `offset` are about to be read.
    func note(_ file: ContentDigest, _ recipe: Recipe, at offset: UInt64, count: Int) {
        let end = offset + UInt64(count), now = Clock.monotonic()
        let wanted: Range<UInt64>? = streams.withLock { streams in
            guard var stream = streams[file] else { return nil }
            defer { streams[file] = stream }
            stream.seen = now
            guard offset <= stream.next + Self.window, end + Self.window >= stream.next else {
                // A jump: the next request shows whether it goes on from there.
                (stream.next, stream.scheduled) = (end, end)
                return nil
            }
            stream.next = max(stream.next, end)
            let others = streams.reduce(0) { sum, other in
                other.key == file || now &- other.value.seen > Self.patience
                    ? sum : sum + (other.value.scheduled - min(other.value.scheduled, other.value.next))
            }
            let room = min(Self.window, budget - min(budget, others))
            let from = max(stream.scheduled, stream.next), to = min(stream.next + room, recipe.size)
            // In portions, so that the threads are not woken for each chunk.
            guard to > from, to - from >= Self.window / 4 || to == recipe.size else { return nil }
            stream.scheduled = to
            return from..<to
        }
        guard let wanted else { return }
        var i = recipe.index(at: wanted.lowerBound)
        // The chunk that it begins in is somebody's already.
        if recipe.starts[i] < wanted.lowerBound { i += 1 }
        var items = [ChunkQueue.Item]()
        while i < recipe.chunks.count, recipe.starts[i] < wanted.upperBound {
            let start = recipe.starts[i]
            items.append(
                ChunkQueue.Item(id: recipe.chunks[i].id, length: Int(recipe.chunks[i].length)) { [self] in
                    // Who has come so far meanwhile reads it himself.
                    streams.withLock { ($0[file]?.next ?? .max) <= start }
                })
            i += 1
        }
        queue.add(items)
    }
}

/// Chunks to be read by threads that wait for them. More than `capacity` waiting ones are passed over.
private final class ChunkQueue: @unchecked Sendable {
    struct Item: Sendable {
        var id: ChunkID
        var length: Int
        var isWanted: @Sendable () -> Bool
    }

    private static let capacity = 512
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    // Used under `mutex` only.
    private var waiting = [Item]()
    private var started = 0
    private var isClosed = false

    private let threads: Int
    private let body: @Sendable (ChunkID, Int) -> Void

    init(threads: Int, body: @escaping @Sendable (ChunkID, Int) -> Void) {
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

    func add(_ items: [Item]) {
        let missing = locked {
            waiting.append(contentsOf: items.prefix(Self.capacity - min(Self.capacity, waiting.count)))
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
        while let item = next() { if item.isWanted() { body(item.id, item.length) } }
    }

    private func next() -> Item? {
        locked {
            while waiting.isEmpty, !isClosed { pthread_cond_wait(changed, mutex) }
            return isClosed ? nil : waiting.removeFirst()
        }
    }
}
