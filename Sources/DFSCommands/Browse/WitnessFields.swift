import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns

/// What `dfs show` says of what watched a run: use, libraries, the frozen environment.
struct WitnessFields {
    let run: RunRecord
    let result: JSONValue?
    let environment: FrozenEnvironment.Found?

    static func make(_ run: RunRecord, _ repository: Repository, result: JSONValue?) -> WitnessFields {
        WitnessFields(run: run, result: result, environment: try? FrozenEnvironment.of(run, repository))
    }

    var cells: [(String, Cell)] {
        var fields = [(String, Cell)]()
        if let time = result?["usage"]?["gpu-time"] { fields.append(("gpu time", gpu(time))) }
        for name in ["libraries", "modules"] {
            guard let count = result?[name]?["count"]?.integer, let file = result?[name]?["file"]?.string else {
                continue
            }
            fields.append((name, .text("\(Quantity.number(count))  run:\(run.id.short)/evidence/\(file)")))
        }
        if let environment { fields.append(("environment", cell(environment))) }
        return fields
    }

    private func gpu(_ time: JSONValue) -> Cell {
        let words = GPUTime.words(time)
        let reason = (time["unknown"] ?? time["busy_milliseconds"]?["unknown"] ?? time["doubt"])?.string
        return .text(reason.map { "\(words): \($0)" } ?? words)
    }

    private func cell(_ found: FrozenEnvironment.Found) -> Cell {
        switch found {
        case .absent(.beingFrozen): return .text("being frozen", .accent)
        case .absent(.notFrozen(let reason)):
            return .text(reason.map { "not frozen: \($0)" } ?? "not frozen", .warning)
        case .environment(let environment):
            let tree = environment.tree
            let size = "\(Quantity.count(tree.files, "file")), \(ByteCount(tree.bytes))"
            let place = "run:\(run.id.short)/env"
            guard environment.record["complete"]?.bool != true else { return .text("\(size)  \(place)") }
            return .text("\(size), incomplete: \(incompleteness(environment.record))  \(place)", .warning)
        }
    }

    private func incompleteness(_ record: JSONValue) -> String {
        var reasons = [String]()
        let missing = (record["parts"]?.array ?? []).filter { $0["missing"] != nil }
        if let first = missing.first, let path = first["path"]?.string, let reason = first["missing"]?.string {
            let more = missing.count > 1 ? " and \(missing.count - 1) more" : ""
            reasons.append("\(path)\(more) left out (\(reason))")
        }
        if let unread = record["unread"]?["count"]?.integer {
            reasons.append("\(Quantity.count(unread, "file")) could not be read")
        }
        if let changed = record["changed"], let count = changed["count"]?.integer,
            let first = changed["files"]?.array?.first
        {
            let more = count > 1 ? " and \(count - 1) more" : ""
            reasons.append("\(first["path"]?.string ?? "")\(more): \(first["reason"]?.string ?? "")")
        }
        return reasons.isEmpty ? "see the record" : reasons.joined(separator: "; ")
    }

    /// The environment for `--json`.
    var json: JSONValue {
        switch environment {
        case .environment(let environment): environment.record
        case .absent(.beingFrozen): ["unknown": "it is being frozen"]
        case .absent(.notFrozen(let reason)): ["none": .string(reason ?? "it was not frozen")]
        case nil: ["unknown": "its record cannot be read"]
        }
    }
}
