import DFSModel
import Glibc

/// Jobs for a few threads, newest first, so that a walk goes deep before it goes wide and holds little at a time.
///
/// A job may push others. `run` returns when all are done, or throws the first error after the threads have stopped.
/// `lock` guards all stored properties.
package final class WorkStack<Job>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs = [Job]()
    private var running = 0
    private var failure: DFSError?

    package init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    package func push(_ job: Job) { push([job]) }

    package func push(_ new: [Job]) {
        guard !new.isEmpty else { return }
        pthread_mutex_lock(mutex)
        if failure == nil { jobs += new }
        if new.count == 1 { pthread_cond_signal(changed) } else { pthread_cond_broadcast(changed) }
        pthread_mutex_unlock(mutex)
    }

    /// Runs all jobs on `threads` threads; `body` gets the thread's number and the job.
    package func run(threads: Int, _ body: @Sendable (Int, Job) throws(DFSError) -> Void) throws(DFSError) {
        Workers.run(threads) { thread in
            while let job = self.next() {
                do throws(DFSError) { try body(thread, job) } catch { self.fail(error) }
                self.done()
            }
        }
        if let failure { throw failure }
    }

    private func next() -> Job? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while jobs.isEmpty && running > 0 { pthread_cond_wait(changed, mutex) }
        guard let job = jobs.popLast() else { return nil }
        running += 1
        return job
    }

    private func done() {
        pthread_mutex_lock(mutex)
        running -= 1
        if running == 0 { pthread_cond_broadcast(changed) }
        pthread_mutex_unlock(mutex)
    }

    private func fail(_ error: DFSError) {
        pthread_mutex_lock(mutex)
        failure = failure ?? error
        jobs.removeAll()
        pthread_mutex_unlock(mutex)
    }
}
