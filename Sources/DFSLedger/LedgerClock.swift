import DFSModel
import DFSSystem

/// Where an appender reads the host's time; tests put their own in its place.
package struct LedgerClock: Sendable {
    package let now: @Sendable () -> Timestamp
    package let synchronised: @Sendable () -> ClockSynchronisation

    package init(
        now: @escaping @Sendable () -> Timestamp, synchronised: @escaping @Sendable () -> ClockSynchronisation
    ) {
        self.now = now
        self.synchronised = synchronised
    }

    package static let host = LedgerClock(now: Clock.now, synchronised: ClockSynchronisation.current)

    /// A host further ahead of the store than this many seconds may not append: times never decrease, so one bad clock
    /// would set the time of everything after it.
    package static let tolerance: Int64 = 300

    /// The host's and the store's time together. Throws `.refused` when the host is too far ahead.
    func reading(store: Timestamp) throws(DFSError) -> EntryClock {
        let host = now()
        guard !Self.isTooFarAhead(host: host, store: store) else {
            throw DFSError(
                .refused, "this host's clock is \(host.seconds - store.seconds) seconds ahead of the store's",
                cause: "host \(host.short), store \(store.short); at most \(Self.tolerance) seconds are accepted",
                hint: "timedatectl set-ntp true")
        }
        return EntryClock(host: host, store: store, synchronised: synchronised())
    }

    static func isTooFarAhead(host: Timestamp, store: Timestamp) -> Bool {
        store.adding(seconds: tolerance) < host
    }
}
