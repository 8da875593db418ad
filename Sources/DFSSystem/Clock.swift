import CLinux
import DFSModel
import Glibc

/// The host's clock.
package enum Clock {
    /// The wall clock; `DFS_CLOCK_OFFSET` (seconds) shifts it in tests.
    package static func now() -> Timestamp {
        var t = timespec()
        clock_gettime(CLOCK_REALTIME, &t)
        return Timestamp(seconds: Int64(t.tv_sec) + offset, nanoseconds: UInt32(t.tv_nsec))
    }

    /// Nanoseconds of the monotonic clock.
    package static func monotonic() -> UInt64 {
        var t = timespec()
        clock_gettime(CLOCK_MONOTONIC, &t)
        return UInt64(t.tv_sec) * 1_000_000_000 + UInt64(t.tv_nsec)
    }

    private static let offset: Int64 = getenv("DFS_CLOCK_OFFSET").flatMap { Int64(String(cString: $0)) } ?? 0
}

extension UUIDv7 {
    /// A new id of this moment.
    package static func make() -> UUIDv7 {
        let now = Clock.now()
        let milliseconds = UInt64(max(0, now.seconds)) * 1000 + UInt64(now.nanoseconds / 1_000_000)
        return UUIDv7(milliseconds: milliseconds, random: Randomness.bytes(10))
    }
}
