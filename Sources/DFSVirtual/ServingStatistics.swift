import DFSModel
import DFSSystem
import Glibc

/// What reached the daemon since the mount began. Adding is wait-free.
package final class ServingStatistics: Sendable {
    package enum Operation: Int, Sendable, CaseIterable {
        case lookup, getattr, readlink, read, readdir, readdirplus, getxattr, listxattr, statfs, open, opendir, refused
        case forget
        /// Anything about `.dfs`, so that looking at the counters does not move them.
        case control

        package var name: String {
            switch self {
            case .lookup: "LOOKUP"
            case .getattr: "GETATTR"
            case .readlink: "READLINK"
            case .read: "READ"
            case .readdir: "READDIR"
            case .readdirplus: "READDIRPLUS"
            case .getxattr: "GETXATTR"
            case .listxattr: "LISTXATTR"
            case .statfs: "STATFS"
            case .open: "OPEN"
            case .opendir: "OPENDIR"
            case .refused: "REFUSED"
            case .forget: "FORGET"
            case .control: "CONTROL"
            }
        }

        /// Whether somebody waits for its answer.
        var isRequest: Bool { self != .forget && self != .control }
    }

    private let counters = Operation.allCases.map { _ in Counter() }
    private let bytesRead = Counter()
    private let errors = Counter()
    private let start = Clock.monotonic()

    package init() {}

    package func count(_ operation: Operation) { counters[operation.rawValue].increment() }
    package func count(bytesRead count: Int) { bytesRead.increment(by: count) }
    /// An answer that says something is wrong (EIO and the like; not ENOENT, EROFS, ENODATA).
    package func countError() { errors.increment() }

    package subscript(operation: Operation) -> Int { counters[operation.rawValue].current }

    /// Requests that somebody waited for.
    package var requests: Int {
        Operation.allCases.filter(\.isRequest).reduce(0) { $0 + self[$1] }
    }

    /// What `.dfs/stats` shows (`dfs.stats/1`): counts, bytes, and milliseconds of uptime.
    package func json(directories: Int, liveFiles: Int) -> JSONValue {
        var operations = [String: JSONValue]()
        for operation in Operation.allCases { operations[operation.name] = .integer(Int64(self[operation])) }
        return [
            "schema": "dfs.stats/1", "operations": .object(operations), "requests": .integer(Int64(requests)),
            "bytes_read": .integer(Int64(bytesRead.current)), "errors": .integer(Int64(errors.current)),
            "directories": .integer(Int64(directories)), "live_files": .integer(Int64(liveFiles)),
            "uptime_ms": .integer(Int64((Clock.monotonic() - start) / 1_000_000)), "pid": .integer(Int64(getpid())),
            "resident_bytes": .integer(Self.residentBytes()),
        ]
    }

    /// Resident memory of this process; 0 when /proc does not tell.
    private static func residentBytes() -> Int64 {
        guard let bytes = try? Files.read("/proc/self/statm") else { return 0 }
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = Int64(fields[1]) else { return 0 }
        return pages * Int64(sysconf(Int32(_SC_PAGESIZE)))
    }
}
