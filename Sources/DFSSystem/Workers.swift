import CLinux
import Glibc

/// Threads for blocking work.
package enum Workers {
    /// Processors that are online.
    package static var processorCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// Calls `body` with 0..<count, each on a thread of its own (the last on the caller's), and waits for all.
    ///
    /// Threads and not libdispatch: that gives a call inside another one a single thread, and never more than there are
    /// processors, whatever `count` says.
    package static func run(_ count: Int, _ body: @Sendable (Int) -> Void) {
        guard count > 1 else { return body(0) }
        withoutActuallyEscaping(body) { body in
            let threads = (0..<count - 1).compactMap { i in
                Thread.start { body(i) }
                    ?? {
                        body(i); return nil
                    }()
            }
            body(count - 1)
            for thread in threads { pthread_join(thread, nil) }
        }
    }

    /// Starts a thread that nobody waits for; `false` when the system has none to give.
    package static func detach(_ body: @escaping @Sendable () -> Void) -> Bool {
        guard let thread = Thread.start(body) else { return false }
        pthread_detach(thread)
        return true
    }

    fileprivate enum Thread {
        private final class Box: Sendable {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }

        /// `nil` when the system has no thread to give.
        static func start(_ body: @escaping @Sendable () -> Void) -> pthread_t? {
            var thread = pthread_t()
            let box = Unmanaged.passRetained(Box(body))
            let code = pthread_create(
                &thread, nil,
                { raw in
                    if let raw { Unmanaged<Box>.fromOpaque(raw).takeRetainedValue().body() }
                    return nil
                }, box.toOpaque())
            if code == 0 { return thread }
            box.release()
            return nil
        }
    }
}

/// Calls something again and again, on a thread of its own, until it is cancelled. Needs no descriptors, so it goes on when
/// there are none left.
package final class Ticker: Sendable {
    /// A condition of the monotonic clock.
    private final class Signal: @unchecked Sendable {
        private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
        private var isSent = false

        init() {
            pthread_mutex_init(mutex, nil)
            var attributes = pthread_condattr_t()
            pthread_condattr_init(&attributes)
            pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
            pthread_cond_init(condition, &attributes)
            pthread_condattr_destroy(&attributes)
        }

        deinit {
            pthread_cond_destroy(condition)
            pthread_mutex_destroy(mutex)
            condition.deallocate()
            mutex.deallocate()
        }

        func send() {
            pthread_mutex_lock(mutex)
            isSent = true
            pthread_cond_signal(condition)
            pthread_mutex_unlock(mutex)
        }

        /// Whether it came within some time.
        func wait(milliseconds: Int) -> Bool {
            let end = Clock.monotonic() + UInt64(milliseconds) * 1_000_000
            var time = timespec(tv_sec: Int(end / 1_000_000_000), tv_nsec: Int(end % 1_000_000_000))
            pthread_mutex_lock(mutex)
            defer { pthread_mutex_unlock(mutex) }
            while !isSent {
                if pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT { break }
            }
            return isSent
        }
    }

    private let signal: Signal
    private let thread: pthread_t

    private init(signal: Signal, thread: pthread_t) {
        self.signal = signal
        self.thread = thread
    }

    /// The first call is at once; `nil` when the system has no thread to give.
    package static func start(milliseconds: Int, _ body: @escaping @Sendable () -> Void) -> Ticker? {
        start {
            body()
            return milliseconds
        }
    }

    /// As above; each call says how many milliseconds later the next one is.
    package static func start(_ body: @escaping @Sendable () -> Int) -> Ticker? {
        let signal = Signal()
        let thread = Workers.Thread.start {
            var pause = 0
            repeat { pause = body() } while !signal.wait(milliseconds: pause)
        }
        return thread.map { Ticker(signal: signal, thread: $0) }
    }

    /// Returns when no call is running any more; once.
    package func cancel() {
        signal.send()
        pthread_join(thread, nil)
    }
}
