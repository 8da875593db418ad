import DFSModel
import Glibc

/// A mutex for classes that hold what `Synchronization.Mutex` cannot: values that are not Sendable, used under it alone.
package final class Lock: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    package init() { pthread_mutex_init(mutex, nil) }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    package func hold<R>(_ body: () throws(DFSError) -> R) throws(DFSError) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }
}
