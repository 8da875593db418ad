import DFSLedger
import DFSModel
import DFSRuns

/// A line of `dfs runs`.
struct RunRow: Row {
    static let schema = "dfs.runs/1"
    static let columns = [
        Column("run"), Column("name"), Column("status"), Column("started"), Column("duration", .right), Column("data"),
        Column("command"),
    ]

    let facts: RunFacts

    var json: [String: JSONValue] { facts.json }

    var cells: [Cell] {
        let data = facts.run.data.map { "\($0.dataset)@v\($0.version)" }.joined(separator: " ")
        return [
            .text(facts.run.id.short, .strong), .text(RunName.of(facts.run.id)), .text(facts.status, facts.role),
            .time(facts.run.time), .text(facts.durationText), .text(data), .text(facts.command),
        ]
    }
}
