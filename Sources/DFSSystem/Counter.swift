import Synchronization

/// A number that threads add to.
package final class Counter: Sendable {
    private let value = Atomic<Int>(0)

    package init() {}

    /// Adds and returns the new value.
    @discardableResult
    package func increment(by amount: Int = 1) -> Int {
        value.wrappingAdd(amount, ordering: .relaxed).newValue
    }

    package var current: Int { value.load(ordering: .relaxed) }
}
