import DFSModel
import DFSRuns

/// What `dfs host diff` says.
struct DriftOutput: Report {
    static let schema = DriftReport.schema

    let report: DriftReport
    /// What was compared with what: `this machine`, `run:0a1b2c3d`.
    let then, now: String

    var json: [String: JSONValue] {
        report.json().merging(["then": .string(then), "now": .string(now)]) { $1 }
    }

    func print(to output: Output) throws(DFSError) {
        try output.line("\(then) and \(now): \(report.summary)")
        guard !report.facts.isEmpty else { return }
        try output.line()
        try output.list(report.facts.map { DriftRow(fact: $0) })
        // What differs for one reason is many rows; the reason is said once.
        var reasons = [String]()
        for fact in report.facts where !reasons.contains(fact.reason) { reasons.append(fact.reason) }
        try output.line()
        for reason in reasons {
            let facts = report.facts.filter { $0.reason == reason }
            let more = facts.count > 3 ? " and \(facts.count - 3) more" : ""
            try output.line(facts.prefix(3).map(\.name).joined(separator: ", ") + more + ": " + reason)
        }
    }
}

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

extension DriftClass {
    var role: Style.Role {
        switch self {
        case .identical: .good
        case .sameNumerics: .plain
        case .crossNumerics: .warning
        case .incompatible: .bad
        }
    }

    /// Reads a class that was given as `origin`, which is an option or a place in a file.
    static func named(_ name: String, in origin: String) throws(DFSError) -> DriftClass {
        if let found = DriftClass(rawValue: name) { return found }
        let near = Suggestion.nearest(to: name, among: allCases.map(\.rawValue)).map { "did you mean \($0)? " } ?? ""
        throw DFSError(
            .usage, "\(origin) \(name) is no class of drift",
            cause: near + "there are " + allCases.map(\.rawValue).joined(separator: ", "),
            hint: "dfs-run --require \(DriftClass.sameNumerics.rawValue) …")
    }
}
