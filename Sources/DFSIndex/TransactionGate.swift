import DFSModel
import Glibc

/// Many transactions at once, or one change of the map alone.
///
/// LMDB moves its map when it grows, which no transaction of this process may see. A change that waits goes before
/// transactions that begin later, so that a stream of readers does not keep it out; for that reason a thread may not
/// begin a second transaction inside one, and is refused instead of waiting for itself.
final class TransactionGate: @unchecked Sendable {
    // `mutex` owns threads, waiting and changing.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var threads = Set<pthread_t>()
    private var waiting = 0
    private var changing = false

    init() {
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        condition.initialize(to: pthread_cond_t())
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func enter() throws(DFSError) {
        let thread = pthread_self()
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !threads.contains(thread) else {
            throw DFSError(
                .operational, "cannot begin a transaction of the index",
                cause: "this thread is in another one: pass the transaction on instead")
        }
        while changing || waiting > 0 { pthread_cond_wait(condition, mutex) }
        threads.insert(thread)
    }

    func leave() {
        pthread_mutex_lock(mutex)
        threads.remove(pthread_self())
        if threads.isEmpty { pthread_cond_broadcast(condition) }
        pthread_mutex_unlock(mutex)
    }

    /// Runs `body`, which looks at what the gate protects and begins no transaction.
    func peek<R>(_ body: () -> R) -> R {
        pthread_mutex_lock(mutex)
        while changing { pthread_cond_wait(condition, mutex) }
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    /// Runs `body` while no transaction of this process is open. Not to be called inside one.
    func alone<R>(_ body: () throws(DFSError) -> R) throws(DFSError) -> R {
        pthread_mutex_lock(mutex)
        waiting += 1
        while changing || !threads.isEmpty { pthread_cond_wait(condition, mutex) }
        waiting -= 1
        changing = true
        pthread_mutex_unlock(mutex)
        defer {
            pthread_mutex_lock(mutex)
            changing = false
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
        }
        return try body()
    }
}
