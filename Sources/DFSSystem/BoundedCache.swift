import Synchronization

/// A cache with a limit on the sum of its values' costs. Values used recently survive; nothing else is promised.
///
/// Two generations: when the young one is half the limit, it becomes the old one and the old one is dropped.
package final class BoundedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct State: Sendable {
        var young = [Key: (value: Value, cost: Int)]()
        var old = [Key: (value: Value, cost: Int)]()
        var cost = 0
    }
    private let state = Mutex<State>(State())
    private let limit: Int

    package init(limit: Int) { self.limit = limit }

    package subscript(key: Key) -> Value? {
        state.withLock { s in
            if let hit = s.young[key] { return hit.value }
            guard let hit = s.old[key] else { return nil }
            Self.insert(&s, key, hit, limit: limit)
            return hit.value
        }
    }

    package func insert(_ value: Value, for key: Key, cost: Int) {
        state.withLock { Self.insert(&$0, key, (value, cost), limit: limit) }
    }

    private static func insert(_ s: inout State, _ key: Key, _ item: (value: Value, cost: Int), limit: Int) {
        if s.cost + item.cost > limit / 2 {
            s.old = s.young
            s.young = [:]
            s.cost = 0
        }
        if let replaced = s.young.updateValue(item, forKey: key) { s.cost -= replaced.cost }
        s.cost += item.cost
    }
}
