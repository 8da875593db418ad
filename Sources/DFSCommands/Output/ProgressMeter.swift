import DFSModel
import DFSSystem

/// Turns counters into a rate: over the last few seconds, so that a stall shows.
struct ProgressMeter {
    private let start: UInt64
    private var samples: [(time: UInt64, bytes: Int, files: Int)]
    private static let window = 50

    init(start: UInt64) {
        self.start = start
        samples = [(start, 0, 0)]
    }

    mutating func sample(_ activity: Progress.Activity, at time: UInt64) -> ProgressState {
        samples.append((time, activity.bytes.current, activity.files.current))
        if samples.count > Self.window { samples.removeFirst() }
        let (old, new) = (samples[0], samples[samples.count - 1])
        let milliseconds = max(1, Int64((new.time - old.time) / 1_000_000))
        return ProgressState(
            what: activity.what, bytes: new.bytes, files: new.files, expectedBytes: activity.expectedBytes.current,
            expectedFiles: activity.expectedFiles.current, milliseconds: Int64((time - start) / 1_000_000),
            bytesPerSecond: Int64(new.bytes - old.bytes) * 1000 / milliseconds,
            filesPerSecond: Int64(new.files - old.files) * 1000 / milliseconds)
    }
}

/// How far an activity is, at one moment.
struct ProgressState: Sendable {
    var what: String
    var bytes = 0
    var files = 0
    var expectedBytes = 0
    var expectedFiles = 0
    var milliseconds: Int64 = 0
    var bytesPerSecond: Int64 = 0
    var filesPerSecond: Int64 = 0

    /// `commit faces  1.2 GiB of 2.0 GiB  60%  4,210 files  812 MiB/s  ETA 4.2 s`
    var line: String {
        var parts = [what]
        if bytes > 0 || expectedBytes > 0 { parts.append(amount(bytes, expectedBytes) { size($0) }) }
        if let percent { parts.append("\(percent)%") }
        if files > 0 || expectedFiles > 0 {
            parts.append(amount(files, expectedFiles, Quantity.number) + " files")
        }
        if bytesPerSecond > 0 {
            parts.append(size(Int(bytesPerSecond)) + "/s")
        } else if filesPerSecond > 0 {
            parts.append(Quantity.number(filesPerSecond) + " files/s")
        }
        parts.append(remaining.map { "ETA " + Quantity.duration(milliseconds: $0) } ?? elapsed)
        return parts.joined(separator: "  ")
    }

    /// Milliseconds that are left at the present rate; nil where end or rate is unknown.
    var remaining: Int64? {
        if expectedBytes > 0, bytesPerSecond > 0 {
            return Int64(max(0, expectedBytes - bytes)) / bytesPerSecond * 1000
                + Int64(max(0, expectedBytes - bytes)) % bytesPerSecond * 1000 / bytesPerSecond
        }
        guard expectedBytes == 0, expectedFiles > 0, filesPerSecond > 0 else { return nil }
        return Int64(max(0, expectedFiles - files)) * 1000 / filesPerSecond
    }

    var percent: Int? {
        let (done, total) = expectedBytes > 0 ? (bytes, expectedBytes) : (files, expectedFiles)
        return total > 0 ? min(100, Int(Double(done) / Double(total) * 100)) : nil
    }

    var json: JSONValue {
        var members: [String: JSONValue] = [
            "schema": "dfs.progress/1", "what": .string(what), "bytes": .integer(Int64(bytes)),
            "files": .integer(Int64(files)), "milliseconds": .integer(milliseconds),
        ]
        if expectedBytes > 0 { members["expectedBytes"] = .integer(Int64(expectedBytes)) }
        if expectedFiles > 0 { members["expectedFiles"] = .integer(Int64(expectedFiles)) }
        if let remaining { members["remainingMilliseconds"] = .integer(remaining) }
        return .object(members)
    }

    private var elapsed: String { Quantity.duration(milliseconds: milliseconds) }

    private func size(_ bytes: Int) -> String { ByteCount(UInt64(max(0, bytes))).description }

    private func amount(_ done: Int, _ total: Int, _ text: (Int) -> String) -> String {
        total > 0 ? "\(text(done)) of \(text(total))" : text(done)
    }
}
