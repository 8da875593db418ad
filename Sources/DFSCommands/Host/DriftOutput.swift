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
