import DFSModel
import DFSSystem
import Glibc
import Synchronization

/// What reached the daemon since the mount began. Adding is wait-free.
package final class ServingStatistics: Sendable {
    package enum Operation: Int, Sendable, CaseIterable {
        case lookup, getattr, readlink, read, readdir, readdirplus, getxattr, listxattr, statfs, open, opendir, refused
        case forget, release
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
            case .release: "RELEASE"
            case .control: "CONTROL"
            }
        }

        /// Whether somebody waits for its answer.
        var isRequest: Bool { self != .forget && self != .release && self != .control }
    }

    private let counters = Operation.allCases.map { _ in Counter() }
    private let latencies = Operation.allCases.map { _ in Latency() }
    private let bytesRead = Counter()
    private let passedThrough = Counter()
    private let storedFiles = Counter(), storedBytes = Counter()
    private let errors = Counter()
    private let start = Clock.monotonic()
    private let way = Mutex(Serving(mode: .stateless, why: ""))

    package init() {}

    /// How files are served, as chosen or as it turned out.
    package var serving: Serving {
        get { way.withLock { $0 } }
        set { way.withLock { $0 = newValue } }
    }

    package func count(_ operation: Operation) { counters[operation.rawValue].increment() }
    package func count(bytesRead count: Int) { bytesRead.increment(by: count) }
    /// An answer that says something is wrong (EIO and the like; not ENOENT, EROFS, ENODATA).
    package func countError() { errors.increment() }

    /// An open after which the kernel reads by itself.
    package func countPassthrough() { passedThrough.increment() }
    /// A whole file was given to the kernel before it was asked for.
    package func countStored(_ bytes: Int) {
        storedFiles.increment()
        storedBytes.increment(by: bytes)
    }
    /// An answer was sent; the request came at `start` (`Clock.monotonic`).
    package func time(_ operation: Operation, since start: UInt64) {
        latencies[operation.rawValue].add(Clock.monotonic() &- start)
    }

    package subscript(operation: Operation) -> Int { counters[operation.rawValue].current }

    /// Requests that somebody waited for.
    package var requests: Int {
        Operation.allCases.filter(\.isRequest).reduce(0) { $0 + self[$1] }
    }

    /// What `.dfs/stats` shows (`dfs.stats/1`): counts, bytes, and milliseconds of uptime.
    package func json(directories: Int, liveFiles: Int, content: [String: JSONValue] = [:]) -> JSONValue {
        var operations = [String: JSONValue](), times = [String: JSONValue]()
        for operation in Operation.allCases {
            operations[operation.name] = .integer(Int64(self[operation]))
            times[operation.name] = latencies[operation.rawValue].json
        }
        let serving = serving
        return [
            "serve": .string(serving.mode.rawValue), "why": .string(serving.why), "latency": .object(times),
            "content": .object(content), "passthrough_opens": .integer(Int64(passedThrough.current)),
            "files_stored": .integer(Int64(storedFiles.current)), "bytes_stored": .integer(Int64(storedBytes.current)),
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

/// How long answers took.
private final class Latency: Sendable {
    private let count = Counter(), total = Counter()
    private let longest = Atomic<Int>(0)

    func add(_ nanoseconds: UInt64) {
        let time = Int(clamping: nanoseconds)
        count.increment()
        total.increment(by: time)
        if time > longest.load(ordering: .relaxed) { longest.max(time, ordering: .relaxed) }
    }

    /// `nil` of what was never asked.
    var json: JSONValue? {
        guard count.current > 0 else { return nil }
        return [
            "count": .integer(Int64(count.current)), "total_us": .integer(Int64(total.current / 1000)),
            "max_us": .integer(Int64(longest.load(ordering: .relaxed) / 1000)),
        ]
    }
}
