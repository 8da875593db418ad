import DFSSystem
import Glibc
import Synchronization

/// Since when the threads of a server have been busy with one request each. A thread answers what it has read before it
/// reads again, so nothing need be known of answers. Wait-free.
final class RequestClock: Sendable {
    private final class Slot: Sendable {
        let thread = Atomic<UInt>(0)
        /// Monotonic nanoseconds; 0: it waits for a request. The lowest bit: a request that a dead server had taken.
        let since = Atomic<UInt64>(0)
    }

    /// More threads than these are not looked after.
    private let slots = (0..<64).map { _ in Slot() }

    /// Called by a thread that is about to wait for a request.
    func rest() { slot()?.since.store(0, ordering: .relaxed) }

    /// Called by a thread that has got one.
    func begin(resent: Bool) { slot()?.since.store(Clock.monotonic() & ~1 | (resent ? 1 : 0), ordering: .relaxed) }

    private func slot() -> Slot? {
        let own = UInt(pthread_self())
        for i in 0..<slots.count {
            let slot = slots[(Int(truncatingIfNeeded: own >> 12) & 63 + i) % slots.count]
            let owner = slot.thread.load(ordering: .relaxed)
            if owner == own { return slot }
            if owner == 0, slot.thread.compareExchange(expected: 0, desired: own, ordering: .relaxed).exchanged {
                return slot
            }
        }
        return nil
    }

    /// Nanoseconds that the oldest request has been worked on, and the oldest of those that were sent again.
    func oldest() -> (any: UInt64, resent: UInt64) {
        let now = Clock.monotonic()
        var oldest = (any: UInt64(0), resent: UInt64(0))
        for slot in slots {
            let since = slot.since.load(ordering: .relaxed)
            guard since != 0, since < now else { continue }
            oldest.any = max(oldest.any, now - since)
            if since & 1 == 1 { oldest.resent = max(oldest.resent, now - since) }
        }
        return oldest
    }
}
