import DFSModel
import DFSRuns

/// One fact of a drift report.
struct DriftRow: Row {
    static let schema = "dfs.drift.fact/1"
    static let columns = [Column("class"), Column("fact"), Column("then"), Column("now")]

    let fact: DriftFact

    var json: [String: JSONValue] { fact.json.object ?? [:] }

    var cells: [Cell] {
        [
            .text(fact.driftClass.rawValue, fact.driftClass.role), .text(fact.name), .text(Self.text(fact.then)),
            .text(Self.text(fact.now)),
        ]
    }

    var key: Cell { .text(fact.name) }

    private static let longest = 48

    static func text(_ value: JSONValue) -> String {
        if let reason = value["unknown"]?.string { return "unknown: \(reason)" }
        if value["none"] != nil { return "-" }
        let text =
            (value.array?.allSatisfy { $0.string != nil } == true ? value.array : nil)
            .map { $0.compactMap(\.string).joined(separator: " ") } ?? value["version"]?.string ?? value.string
            ?? value.canonicalText
        return text.count > longest ? text.prefix(longest - 1) + "…" : text
    }
}
