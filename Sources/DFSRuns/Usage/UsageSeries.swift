import DFSModel

/// Makes the lines of `usage.jsonl` (`dfs.usage/1`, docs/HOST.md) from samples.
///
/// Samples are taken each second at first, then ever more rarely, at most every ten seconds apart; lines that sum up
/// several samples come at growing distances, so that a job of a month has some 5,000.
package struct UsageSeries {
    private var total = ProcessUsage()
    private var peak = ProcessUsage()
    private var processes = 0
    private var samples = 0
    private var lastLine: Int64 = 0
    private var gpus = [GPUReadings]()

    package init() {}

    /// From one sample to the next, `milliseconds` after the start.
    package static func pause(at milliseconds: Int64) -> Int64 {
        // The first moments show what a short job was.
        if milliseconds < 200 { return 200 - milliseconds }
        if milliseconds < 1000 { return 1000 - milliseconds }
        return min(max(milliseconds / 100, 1000), 10_000)
    }

    /// From one line to the next.
    static func distance(at milliseconds: Int64) -> Int64 { min(max(milliseconds / 100, 1000), 600_000) }

    /// The first line.
    package static func header(began: Timestamp, gpus: JSONValue) -> JSONValue {
        ["began": .string(began.description), "format": "dfs.usage/1", "gpus": gpus]
    }

    /// Adds what the job's processes have used, and with `isLast` or when it is time a line.
    package mutating func add(
        at milliseconds: Int64, processes pids: [Int32], isLast: Bool = false
    ) -> JSONValue? {
        add(at: milliseconds, pids.compactMap { ProcessUsage.read(pid: $0) }, isLast: isLast)
    }

    mutating func add(at milliseconds: Int64, _ usages: [ProcessUsage], isLast: Bool = false) -> JSONValue? {
        samples += 1
        if !usages.isEmpty { count(usages) }
        guard isLast || samples == 1 || milliseconds - lastLine >= Self.distance(at: lastLine) else { return nil }
        defer { begin(at: milliseconds) }
        return line(at: milliseconds)
    }

    private mutating func count(_ usages: [ProcessUsage]) {
        func sum(_ member: (ProcessUsage) -> Int64) -> Int64 { usages.reduce(0) { $0 + member($1) } }
        // A process that nobody waits for takes its numbers with it: totals never fall.
        total.cpuMilliseconds = max(total.cpuMilliseconds, sum(\.cpuMilliseconds))
        total.readBytes = max(total.readBytes, sum(\.readBytes))
        total.writtenBytes = max(total.writtenBytes, sum(\.writtenBytes))
        total.readCallBytes = max(total.readCallBytes, sum(\.readCallBytes))
        total.writeCallBytes = max(total.writeCallBytes, sum(\.writeCallBytes))
        peak.residentBytes = max(peak.residentBytes, sum(\.residentBytes))
        peak.threads = max(peak.threads, sum(\.threads))
        processes = max(processes, usages.count)
    }

    /// Adds a reading of the GPUs, one value per device.
    package mutating func add(gpus readings: [JSONValue]) {
        while gpus.count < readings.count { gpus.append(GPUReadings()) }
        for (i, reading) in readings.enumerated() { gpus[i].add(reading) }
    }

    private mutating func begin(at milliseconds: Int64) {
        (peak, processes, samples, lastLine) = (ProcessUsage(), 0, 0, milliseconds)
        gpus = gpus.map { _ in GPUReadings() }
        // So that the next line is not taken for the first.
        samples = 1
    }

    private func line(at milliseconds: Int64) -> JSONValue {
        var members: [String: JSONValue] = [
            "at_milliseconds": .integer(milliseconds), "cpu_milliseconds": .integer(total.cpuMilliseconds),
            "processes": .integer(Int64(processes)), "read_bytes": .integer(total.readBytes),
            "read_call_bytes": .integer(total.readCallBytes), "resident_bytes": .integer(peak.residentBytes),
            "threads": .integer(peak.threads), "write_call_bytes": .integer(total.writeCallBytes),
            "written_bytes": .integer(total.writtenBytes),
        ]
        if gpus.contains(where: { !$0.isEmpty }) { members["gpus"] = .array(gpus.map(\.json)) }
        return .object(members)
    }

    /// What the record keeps of it all.
    package var totals: JSONValue {
        [
            "cpu_milliseconds": .integer(total.cpuMilliseconds), "read_bytes": .integer(total.readBytes),
            "written_bytes": .integer(total.writtenBytes),
        ]
    }
}

/// Readings of one GPU between two lines.
struct GPUReadings {
    private var last: [String: JSONValue] = [:]
    private var sums: [String: (sum: Double, count: Double)] = [:]
    private var peaks: [String: Int64] = [:]
    private var reasons = Set<String>()
    private var errors = [JSONValue]()
    private var whole: JSONValue?

    /// Members of which a line has the mean, and those of which it has the largest.
    private static let means = ["utilisation_percent", "power_milliwatts"]
    private static let maxima = ["temperature_celsius", "memory_used_bytes"]

    var isEmpty: Bool { last.isEmpty && whole == nil }

    mutating func add(_ reading: JSONValue) {
        guard let members = reading.object, members["utilisation_percent"] != nil else {
            whole = reading
            return
        }
        last = members
        for name in Self.means {
            guard let value = members[name]?.double else { continue }
            let (sum, count) = sums[name] ?? (0, 0)
            sums[name] = (sum + value, count + 1)
        }
        for name in Self.maxima {
            if let value = members[name]?.integer { peaks[name] = max(peaks[name] ?? value, value) }
        }
        for reason in members["throttle_reasons"]?.array ?? [] { reasons.formUnion(reason.string.map { [$0] } ?? []) }
        errors += members["xid"]?.array ?? []
    }

    var json: JSONValue {
        guard !last.isEmpty else { return whole ?? Fact.unknown("no reading since the last line") }
        var members = last
        for (name, mean) in sums { members[name] = .double((mean.sum / mean.count * 10).rounded() / 10) }
        for (name, peak) in peaks { members[name] = .integer(peak) }
        if members["throttle_reasons"]?.array != nil {
            members["throttle_reasons"] = .array(reasons.sorted().map { .string($0) })
        }
        if members["xid"]?.array != nil || !errors.isEmpty { members["xid"] = .array(errors) }
        return .object(members)
    }
}
