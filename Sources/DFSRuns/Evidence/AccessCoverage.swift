import DFSLedger
import DFSModel

/// What a record of accesses can be relied on to hold, and what it cannot: for each dataset of the run, by how it was served.
package struct AccessCoverage: Sendable {
    /// How one dataset was served, as the launcher noted it before the command began.
    package struct Served: Sendable, Equatable {
        package var key: String
        package var dataset: String
        package var version: Int
        /// Files in the version.
        package var files: UInt64
        /// `sealed`, `fuse`, `copy`.
        package var way: String
        /// Who sees opens: `fanotify`, `fuse`, `none`.
        package var monitor: String
        /// Why nobody does.
        package var reason: String?

        package init(
            key: String, dataset: String, version: Int, files: UInt64, way: String, monitor: String,
            reason: String? = nil
        ) {
            self.key = key
            self.dataset = dataset
            self.version = version
            self.files = files
            self.way = way
            self.monitor = monitor
            self.reason = reason
        }

        package var json: JSONValue {
            var members: [String: JSONValue] = [
                "key": .string(key), "dataset": .string(dataset), "version": .integer(Int64(version)),
                "files": .integer(Int64(clamping: files)), "way": .string(way), "monitor": .string(monitor),
            ]
            if let reason { members["reason"] = .string(reason) }
            return .object(members)
        }

        init?(json: JSONValue) {
            guard let key = json["key"]?.string, let dataset = json["dataset"]?.string,
                let version = json["version"]?.integer.flatMap(Int.init(exactly:)),
                let files = json["files"]?.integer.flatMap(UInt64.init(exactly:)), let way = json["way"]?.string,
                let monitor = json["monitor"]?.string
            else { return nil }
            self.init(
                key: key, dataset: dataset, version: version, files: files, way: way, monitor: monitor,
                reason: json["reason"]?.string)
        }
    }

    /// Who sees what is read of the run's code.
    package struct Code: Sendable, Equatable {
        /// `fuse` or `none`.
        package var monitor: String
        package var reason: String?

        package init(monitor: String, reason: String? = nil) {
            self.monitor = monitor
            self.reason = reason
        }

        package var json: JSONValue {
            var members: [String: JSONValue] = ["monitor": .string(monitor)]
            if let reason { members["reason"] = .string(reason) }
            return .object(members)
        }

        init?(json: JSONValue) {
            guard let monitor = json["monitor"]?.string else { return nil }
            self.init(monitor: monitor, reason: json["reason"]?.string)
        }
    }

    package let served: [Served]
    package let code: Code
    /// What happened that the record does not hold; empty: nothing that is known.
    package private(set) var gaps: [String] = []
    /// Opened files of each key's version.
    private let opened: [String: Int]

    /// `interrupted`: why the watchers did not end in order; `nil` when they did.
    package init(_ trace: AccessTrace, interrupted: String? = nil) {
        let launcher = trace.sessions.last { $0.monitor == "launcher" }
        served = (launcher?.header["data"]?.array ?? []).compactMap { Served(json: $0) }
        code = trace.code ?? Code(monitor: "none", reason: "the launcher wrote no log")
        var counts = [AccessSource: Int]()
        for file in trace.files { counts[file.source, default: 0] += 1 }
        opened = Dictionary(
            served.map { ($0.key, counts[.dataset($0.dataset, version: $0.version)] ?? 0) },
            uniquingKeysWith: { first, _ in first })
        if launcher == nil { gaps.append("the launcher wrote no log: how data was served is not known") }
        if let interrupted { gaps.append(interrupted) }
        // A server that was killed before it wrote anything must not look like one that had nothing to write.
        let isServed = code.monitor == "fuse" || served.contains { $0.monitor == "fuse" }
        if isServed, !trace.sessions.contains(where: { $0.monitor == "fuse" }) {
            gaps.append("the server of the view left no log: what was read through it is not known")
        }
        for i in trace.sessions.indices { note(i, of: trace.sessions, interrupted) }
        if trace.torn > 0 { gaps.append("\(trace.torn) lines of the logs are torn") }
        for one in served where one.monitor == "none" {
            gaps.append("\(one.key) was not watched: \(one.reason ?? "unknown")")
        }
    }

    private mutating func note(_ i: Int, of sessions: [AccessTrace.Session], _ interrupted: String?) {
        let session = sessions[i]
        func isReplaced() -> Bool {
            sessions[(i + 1)...].contains { $0.monitor == session.monitor && $0.header["successor"]?.bool == true }
        }
        if session.lost > 0 {
            gaps.append("\(session.monitor) lost \(session.lost) events: \(session.reason ?? "unknown")")
        }
        if session.header["successor"]?.bool == true {
            let before = sessions[..<i].last { $0.monitor == session.monitor }
            let since = before?.last ?? before?.started
            gaps.append(
                "the server was replaced: what was read first between \(since?.description ?? "the start") and "
                    + "\(session.started?.description ?? "then") may be missing")
        }
        if !session.hasEnded, interrupted == nil, !isReplaced() {
            gaps.append("\(session.monitor) did not end in order: up to 250 ms before its end may be missing")
        }
    }

    package var isComplete: Bool { gaps.isEmpty }

    package func opened(_ key: String) -> Int { opened[key] ?? 0 }

    // MARK: Words

    private static let elsewhere =
        "opens of the same bytes through other mounts: those of the host, and those that the job makes itself"

    private static func sees(_ monitor: String) -> (seen: String, unseen: [String]) {
        switch monitor {
        case "fanotify":
            (
                "the first open of each file, by open, exec or mmap of any process of the run",
                [
                    "further opens of a file, but where the kernel had dropped its inode: `last` and `count` are of opens seen",
                    "which bytes were read", elsewhere,
                ]
            )
        case "fuse":
            (
                "each read that the kernel did not answer from its own cache, so the first of each file",
                [
                    "opens of which nothing was read, such as those of empty files",
                    "reads from the kernel's cache: `last` and `count` are of requests seen", elsewhere,
                ]
            )
        default: ("nothing", ["everything"])
        }
    }

    package var json: JSONValue {
        [
            "complete": .bool(isComplete), "gaps": .array(gaps.map { .string($0) }), "code": code.json,
            "data": .array(
                served.map { one in
                    let (seen, unseen) = Self.sees(one.monitor)
                    var members = one.json.object ?? [:]
                    members["opened"] = .integer(Int64(opened(one.key)))
                    members["seen"] = .string(seen)
                    members["unseen"] = .array(unseen.map { .string($0) })
                    return .object(members)
                }),
        ]
    }
}
