import DFSSystem
import Glibc
import Synchronization

/// Jobs that nobody waits for, done by one thread with little priority. A job that is queued or being done already is not
/// taken again; beyond `capacity` queued ones, new ones are passed over.
package final class BackgroundWork<Key: Hashable & Sendable>: Sendable {
    private struct State: Sendable {
        var jobs = [(key: Key, body: @Sendable () -> Void)]()
        var known = Set<Key>()
        var isRunning = false
    }

    private let state = Mutex(State())
    private let capacity: Int

    package init(capacity: Int = 256) { self.capacity = capacity }

    package func add(_ key: Key, _ body: @escaping @Sendable () -> Void) {
        let mustStart = state.withLock { state in
            guard state.known.count < capacity, state.known.insert(key).inserted else { return false }
            state.jobs.append((key, body))
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard mustStart else { return }
        // The thread ends when nothing is left: most mounts never need it.
        guard Workers.detach({ self.work() }) else {
            state.withLock { $0 = State() }
            return
        }
    }

    /// Whether nothing is queued or being done.
    package var isIdle: Bool { state.withLock { $0.known.isEmpty } }

    private func work() {
        // On Linux this is about the calling thread only.
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
        while let job = next() {
            job.body()
            state.withLock { _ = $0.known.remove(job.key) }
        }
    }

    private func next() -> (key: Key, body: @Sendable () -> Void)? {
        state.withLock { state in
            guard !state.jobs.isEmpty else {
                state.isRunning = false
                return nil
            }
            return state.jobs.removeFirst()
        }
    }
}
