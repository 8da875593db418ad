import Synchronization

/// What must be undone when the user stops a command. Hooks run once, newest first, on a thread of their own.
package final class CleanupHooks: Sendable {
    private struct State {
        var hooks: [(id: Int, body: @Sendable () -> Void)] = []
        var next = 0
        var armed: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    package init() {}

    /// Adds a hook; the value removes it again.
    @discardableResult
    package func add(_ body: @escaping @Sendable () -> Void) -> Int {
        let (id, arm) = state.withLock { state in
            state.next += 1
            state.hooks.append((state.next, body))
            defer { state.armed = nil }
            return (state.next, state.armed)
        }
        arm?()
        return id
    }

    package func remove(_ id: Int) {
        state.withLock { $0.hooks.removeAll { $0.id == id } }
    }

    /// Runs what is registered and forgets it.
    package func run() {
        let hooks = state.withLock { state in
            defer { state.hooks = [] }
            return state.hooks
        }
        for hook in hooks.reversed() { hook.body() }
    }

    /// Calls `body` when the first hook is added: until then nothing needs a thread.
    func onFirst(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.armed = body } }
}
