import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import Glibc

/// What a run logged into `DFS_METRICS`.
package struct RunMetrics: Sendable, Equatable {
    package private(set) var series: [String: MetricSeries] = [:]
    /// The last value that was set under each name.
    package private(set) var parameters: [String: JSONValue] = [:]
    /// Lines that are no JSON object, an unfinished last one among them.
    package private(set) var badLines = 0
    package private(set) var lines = 0

    package init() {}

    private mutating func add(line: some Sequence<UInt8>) {
        lines += 1
        guard let line = MetricLine(line) else { return badLines += 1 }
        parameters.merge(line.parameters) { $1 }
        for (name, value) in line.values {
            let point = MetricSeries.Point(value: value, step: line.step)
            if series[name]?.add(point) == nil { series[name] = MetricSeries(point) }
        }
    }

    // MARK: Reading

    /// Longer lines count as bad ones and are not kept in memory.
    private static let longestLine = 1 << 20

    /// Reads lines as their bytes come.
    package struct Reader {
        package private(set) var metrics = RunMetrics()
        private var rest: [UInt8] = []
        private var isTooLong = false

        package init() {}

        package mutating func add(_ bytes: some Sequence<UInt8>) {
            for byte in bytes {
                if byte == 0x0a {
                    endLine()
                } else if rest.count < RunMetrics.longestLine {
                    rest.append(byte)
                } else {
                    isTooLong = true
                }
            }
        }

        package mutating func end() -> RunMetrics {
            endLine()
            return metrics
        }

        private mutating func endLine() {
            defer {
                rest.removeAll(keepingCapacity: true)
                isTooLong = false
            }
            if isTooLong { rest = [0x21] }
            if rest.contains(where: { $0 > 0x20 }) { metrics.add(line: rest) }
        }
    }

    /// Of a run: from its sealed logs, or what stands there while it runs. A run without the file has no metrics.
    package static func of(_ run: RunRecord, _ repository: Repository) throws(DFSError) -> RunMetrics {
        var reader = Reader()
        if let logs = run.end?.logs {
            let root = TreeEntry.root(logs, modified: run.time)
            let name = Array("metrics.jsonl".utf8)
            guard let file = try repository.reader.entry(at: [name], below: root), file.kind == .file else {
                return RunMetrics()
            }
            try repository.reader.forEachPiece(of: file) { piece throws(DFSError) in reader.add(piece) }
        } else if run.end == nil {
            try live(LiveRun(storeRoot: repository.root, run: run.id).metrics, &reader)
        }
        return reader.end()
    }

    private static func live(_ path: String, _ reader: inout Reader) throws(DFSError) {
        // Never a link, nor anything that waits: in a shared store others can make names there.
        guard let file = try? OwnedDescriptor.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK),
            try FileStatus.of(file).kind == .file
        else { return }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = try System.call("cannot read \(path)", fault: "read") {
                Glibc.read(file.raw, &buffer, buffer.count)
            }
            if count == 0 { return }
            reader.add(buffer[..<count])
        }
    }
}
