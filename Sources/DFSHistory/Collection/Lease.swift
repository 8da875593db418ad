import DFSModel
import DFSRemote
import DFSSystem
import Glibc
import Synchronization

/// Says that somebody shows history as of an entry, so that what is removed after it stays readable: `leases/<uuid>.json`
/// (FORMAT.md §9). Thread-safe.
package final class Lease: Sendable {
    /// Not touched for so many seconds, it is void.
    package static let lifetime: Int64 = 86400
    /// Seconds between touches.
    package static let interval: UInt64 = 3600

    package let key: String
    private let path: String
    private let touched: Mutex<UInt64>

    private init(key: String, path: String) {
        self.key = key
        self.path = path
        touched = Mutex(Clock.monotonic())
    }

    /// Takes a lease on the history up to `sequence`; `nil` where the store cannot be written: then only the grace of
    /// collection protects what is shown.
    package static func take(_ backend: DirectoryBackend, sequence: UInt64, host: String) -> Lease? {
        let name = UUIDv7.make().text
        let json: JSONValue = [
            "format": "dfs.lease/1", "host": .string(host), "pid": .integer(Int64(getpid())),
            "sequence": .integer(Int64(clamping: sequence)), "started": .string(Clock.now().description),
        ]
        let key = "leases/\(name).json"
        do throws(DFSError) { try backend.put(key, json.canonicalBytes) } catch { return nil }
        return Lease(key: key, path: backend.path(key))
    }

    /// Keeps a lease that a process which died has taken.
    package static func resume(_ backend: DirectoryBackend, key: String) -> Lease {
        Lease(key: key, path: backend.path(key))
    }

    /// Says that it still holds, about once an hour however often it is called.
    package func touch() {
        let now = Clock.monotonic()
        let isDue = touched.withLock { last in
            guard now &- last >= Self.interval * 1_000_000_000 else { return false }
            last = now
            return true
        }
        // The time is the one of the machine that holds the store.
        if isDue { utimensat(AT_FDCWD, path, nil, 0) }
    }

    package func end() { unlink(path) }
}

/// A lease as it stands in a store.
package struct StandingLease: Sendable, Hashable {
    package let key: String
    /// The entry up to which history is shown; `nil`: it cannot be read, so anything may be shown.
    package let sequence: UInt64?
    /// Where it is served, for messages: `host (pid 12)`.
    package let holder: String
    /// When it was touched last, by the store's clock.
    package let touched: Timestamp

    package func isVoid(at now: Timestamp) -> Bool { touched.adding(seconds: Lease.lifetime) < now }

    /// All leases of a store.
    package static func all(_ backend: DirectoryBackend) throws(DFSError) -> [StandingLease] {
        var leases = [StandingLease]()
        for key in try backend.list("leases/") where key.hasSuffix(".json") {
            guard let status = try FileStatus.of(path: backend.path(key)),
                let bytes = try backend.get(key, limit: 1 << 16)
            else { continue }
            let json = (try? JSONValue.parse(bytes)) ?? .null
            let sequence = json["sequence"]?.integer.flatMap { UInt64(exactly: $0) }
            let holder = (json["host"]?.string ?? "unknown") + " (pid \(json["pid"]?.integer ?? 0))"
            leases.append(StandingLease(key: key, sequence: sequence, holder: holder, touched: status.modified))
        }
        return leases
    }
}
