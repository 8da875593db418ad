import DFSModel
import DFSSystem

/// What the watchers of a run saw, put together from their logs.
package struct AccessTrace: Sendable {
    package struct File: Sendable {
        package var source: AccessSource
        /// Slash-joined.
        package var path: [UInt8]
        package var first: Timestamp
        package var last: Timestamp
        package var count: Int
        package var digest: Digest?
        package var size: UInt64?
    }

    package struct Denial: Sendable {
        package var source: AccessSource
        package var path: [UInt8]
        package var operation: String
        package var first: Timestamp
        package var last: Timestamp
        package var count: Int
        /// Of the first attempt; 0 where it is not known.
        package var pid: Int32
        package var command: String?
    }

    /// One watcher from its first line to its end.
    package struct Session: Sendable {
        package var header: JSONValue
        package var last: Timestamp?
        /// Whether it said that it had written all.
        package var hasEnded = false
        package var lost = 0
        package var reason: String?
        package var monitor: String { header["monitor"]?.string ?? "" }
        package var started: Timestamp? {
            header["started"]?.integer.map { Timestamp(nanosecondsSince1970: $0) }
        }
    }

    /// In order of source and path; one for each file.
    package private(set) var files: [File] = []
    package private(set) var denials: [Denial] = []
    package private(set) var sessions: [Session] = []
    /// `nil`: nobody said.
    package private(set) var code: AccessCoverage.Code?
    /// Denied attempts that were counted only.
    package private(set) var unlisted = 0
    /// Lines that cannot be read: the last one of a watcher that was killed.
    package private(set) var torn = 0

    package static let limit = 4 << 30

    package init() {}

    /// Reads all logs of an evidence folder.
    package static func read(folder: String) throws(DFSError) -> AccessTrace {
        var trace = AccessTrace()
        for name in AccessLogName.all {
            guard let bytes = try Files.readRegular(folder + "/" + name, limit: limit) else { continue }
            trace.take(bytes)
        }
        trace.mergeFiles()
        trace.mergeDenials()
        return trace
    }

    package var attempts: Int { denials.reduce(unlisted) { $0 + $1.count } }

    // MARK: One log

    private mutating func take(_ bytes: [UInt8]) {
        var reading = Reading()
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            guard let line = AccessLine(line) else {
                torn += 1
                continue
            }
            take(line, &reading)
        }
    }

    /// Numbers of one session, and where what they mean stands here.
    private struct Reading {
        var sources: [Int: AccessSource] = [:]
        var files: [Int: Int] = [:]
        var denials: [Int: Int] = [:]
    }

    private mutating func take(_ line: AccessLine, _ reading: inout Reading) {
        func time(_ value: Int64) -> Timestamp { Timestamp(nanosecondsSince1970: value) }
        if case .header(let header) = line {
            reading = Reading()
            sessions.append(Session(header: header))
            return
        }
        guard !sessions.isEmpty else { return torn += 1 }
        let session = sessions.count - 1
        switch line {
        case .header: break
        case .source(let number, let source): reading.sources[number] = source
        case .code(let code): self.code = code
        case .opened(let n, let source, let path, let at, let digest, let size):
            guard let source = reading.sources[source] else { return torn += 1 }
            reading.files[n] = files.count
            sessions[session].last = time(at)
            files.append(
                File(
                    source: source, path: path, first: time(at), last: time(at), count: 1, digest: digest, size: size))
        case .again(let n, let count, let last):
            guard let i = reading.files[n] else { return torn += 1 }
            files[i].count = count
            files[i].last = time(last)
        case .denied(let n, let source, let path, let at, let operation, let pid, let command):
            guard let source = reading.sources[source] else { return torn += 1 }
            reading.denials[n] = denials.count
            denials.append(
                Denial(
                    source: source, path: path, operation: operation, first: time(at), last: time(at), count: 1,
                    pid: pid, command: command))
        case .deniedAgain(let n, let count, let last):
            guard let i = reading.denials[n] else { return torn += 1 }
            denials[i].count = count
            denials[i].last = time(last)
        case .end(let at, let lost, let unlisted, let reason):
            sessions[session].last = time(at)
            sessions[session].hasEnded = true
            sessions[session].lost = lost
            sessions[session].reason = reason
            self.unlisted += unlisted
        }
    }

    // MARK: All logs

    /// A directory that was reached in several ways has as many numbers, and one name.
    private mutating func mergeDenials() {
        struct Key: Hashable {
            var source: AccessSource
            var path: [UInt8]
            var operation: String
        }
        var known = [Key: Int](), merged = [Denial]()
        for denial in denials {
            let key = Key(source: denial.source, path: denial.path, operation: denial.operation)
            guard let i = known[key] else {
                known[key] = merged.count
                merged.append(denial)
                continue
            }
            merged[i].count += denial.count
            merged[i].last = max(merged[i].last, denial.last)
            guard denial.first < merged[i].first else { continue }
            (merged[i].first, merged[i].pid, merged[i].command) = (denial.first, denial.pid, denial.command)
        }
        denials = merged
    }

    private mutating func mergeFiles() {
        var names = [AccessSource: String]()
        for file in files where names[file.source] == nil { names[file.source] = file.source.reference }
        files.sort { a, b in
            a.source == b.source
                ? a.path.lexicographicallyPrecedes(b.path) : (names[a.source] ?? "") < (names[b.source] ?? "")
        }
        var merged = [File]()
        merged.reserveCapacity(files.count)
        for file in files {
            guard var last = merged.last, last.source == file.source, last.path == file.path else {
                merged.append(file)
                continue
            }
            last.first = min(last.first, file.first)
            last.last = max(last.last, file.last)
            last.count += file.count
            last.digest = last.digest ?? file.digest
            last.size = last.size ?? file.size
            merged[merged.count - 1] = last
        }
        files = merged
    }

    /// Fills in digests and sizes that the watcher did not have. `find` gives those of names of one directory.
    mutating func complete(
        _ find: (AccessSource, _ directory: [UInt8], _ names: [[UInt8]]) throws(DFSError) -> [(Digest, UInt64)?]
    ) throws(DFSError) {
        struct Place: Hashable {
            var source: AccessSource
            var directory: [UInt8]
        }
        var places = [Place: [Int]]()
        for (i, file) in files.enumerated() where file.digest == nil {
            let cut = file.path.lastIndex(of: 0x2f)
            let directory = cut.map { Array(file.path[..<$0]) } ?? []
            places[Place(source: file.source, directory: directory), default: []].append(i)
        }
        for (place, indices) in places {
            let start = place.directory.isEmpty ? 0 : place.directory.count + 1
            let found = try find(place.source, place.directory, indices.map { Array(files[$0].path[start...]) })
            for (i, known) in zip(indices, found) {
                files[i].digest = known?.0
                files[i].size = known?.1
            }
        }
    }
}

/// Names of the logs in an evidence folder.
package enum AccessLogName {
    /// The launcher's, with what fanotify tells.
    package static let launcher = "access-kernel.jsonl"
    /// The FUSE server's.
    package static let server = "access-fuse.jsonl"
    package static let all = [launcher, server]
    /// What is made of them at the end.
    package static let statement = "access.json"
}
