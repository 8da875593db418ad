import Synchronization

/// A bounded map: holds at least the `capacity` values used last and at most twice as many.
final class GenerationCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct State: Sendable {
        var young: [Key: Value] = [:]
        var old: [Key: Value] = [:]
    }

    private let capacity: Int
    private let state = Mutex(State())

    init(capacity: Int) { self.capacity = capacity }

    subscript(key: Key) -> Value? {
        state.withLock { state in
            if let value = state.young[key] { return value }
            guard let value = state.old[key] else { return nil }
            Self.store(value, key, &state, capacity)
            return value
        }
    }

    func insert(_ value: Value, for key: Key) {
        state.withLock { Self.store(value, key, &$0, capacity) }
    }

    private static func store(_ value: Value, _ key: Key, _ state: inout State, _ capacity: Int) {
        if state.young.count >= capacity {
            state.old = state.young
            state.young = [:]
        }
        state.young[key] = value
    }
}
