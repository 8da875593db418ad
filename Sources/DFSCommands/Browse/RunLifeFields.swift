import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore

/// What a run was part of, left behind, was let pass, logged, and was found to be worth.
struct RunLifeFields: Sendable {
    let cells: [(String, Cell)]
    /// Everything that was said of the run besides its start and end.
    let annotations: JSONValue

    static func make(_ run: RunRecord, _ repository: Repository, _ record: JSONValue, reason: String?) -> RunLifeFields
    {
        let (plan, result) = (record["plan"], record["result"])
        var cells = [(String, Cell)]()
        func add(_ name: String, _ text: String?, _ role: Style.Role = .plain) {
            if let text { cells.append((name, .text(text, role))) }
        }
        add("repeats", plan?["repeats"]?.string.flatMap { RunID($0) }.map { "run:\($0.short)" })
        if plan?["strict"]?.bool == true { add("strict", "ignored paths of the project were hidden") }
        let denied = (plan?["deny"]?.array ?? []).compactMap(\.string)
        if !denied.isEmpty { add("denied", denied.joined(separator: " ")) }
        let orphans = (result?["child"]?["orphans"]?.array ?? []).map {
            ($0["name"]?.string ?? "") + ($0["killed"] == true ? " (killed)" : "")
        }
        if !orphans.isEmpty { add("left behind", orphans.joined(separator: ", "), .warning) }
        if let outside = result?["outside"]?["files"]?.integer, outside > 0 {
            add(
                "outside",
                "\(Quantity.count(Int(outside), "file")), not kept  run:\(run.id.short)/evidence/outside.json")
        }
        add("let pass", waived(plan, reason), .warning)
        if let found = result?["secrets"]?["found"]?.array, !found.isEmpty {
            add("secrets", "\(Quantity.count(found.count, "secret")) in what the job wrote", .warning)
        }
        add("metrics", metrics(run, repository))
        let notes = run.annotations.map { note -> (RunAnnotation, JSONValue) in
            (note, (try? repository.objects.json(note.record.record, what: "an annotation of run \(run.id)")) ?? .null)
        }
        for (note, record) in notes where note.name == "verdict" {
            add("validated", "\(note.time.short)  \(verdict(record["verdict"]))")
        }
        return RunLifeFields(
            cells: cells,
            annotations: .array(
                notes.map {
                    ["name": .string($0.name), "time": .string($0.time.description), "record": $1]
                }))
    }

    private static func waived(_ plan: JSONValue?, _ reason: String?) -> String? {
        let count = ["arguments", "variables"].reduce(0) { $0 + (plan?["secrets"]?[$1]?.array?.count ?? 0) }
        guard count > 0 || reason != nil else { return nil }
        return "\(Quantity.count(count, "secret")) of command line and variables; reason: \(reason ?? "removed")"
    }

    private static func metrics(_ run: RunRecord, _ repository: Repository) -> String? {
        guard let found = try? RunMetrics.of(run, repository), !found.series.isEmpty else { return nil }
        let names = found.series.keys.sorted()
        let words = names.prefix(6).compactMap { name in
            found.series[name].map { "\(name) \(MetricText.of($0.last.value))" }
        }
        return words.joined(separator: ", ") + (names.count > 6 ? " and \(names.count - 6) more" : "")
    }

    private static func verdict(_ verdict: JSONValue?) -> String {
        let causes = (verdict?["causes"]?.array ?? []).compactMap(\.string).joined(separator: ", ")
        return (verdict?["outcome"]?.string ?? "unknown") + (causes.isEmpty ? "" : ": " + causes)
    }
}
