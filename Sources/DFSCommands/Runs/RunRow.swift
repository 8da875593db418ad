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

/// A line of `dfs runs` with what was asked for by name.
struct RunValuesRow: Row {
    static let schema = RunRow.schema
    static let columns: [Column] = RunRow.columns.dropLast() + [Column("values"), Column("command")]

    let line: RunTable.Line
    private var row: RunRow { RunRow(facts: line.facts) }

    var json: [String: JSONValue] {
        var members = row.json
        members["metrics"] = .object(line.metrics.series.mapValues(\.json))
        members["parameters"] = .object(line.metrics.parameters)
        members["values"] = .object(
            Dictionary(line.named.map { ($0.name, $0.value.map(Self.json) ?? .null) }) { first, _ in first })
        return members
    }

    private static func json(_ value: RunValue) -> JSONValue {
        switch value {
        case .number(let number): MetricSeries.number(number)
        case .text(let text): .string(text)
        }
    }

    var cells: [Cell] {
        let values = line.named.map { "\($0.name)=\($0.value.map(Self.text) ?? "-")" }.joined(separator: " ")
        return row.cells.dropLast() + [.text(values, .accent)] + row.cells.suffix(1)
    }

    static func text(_ value: RunValue) -> String {
        switch value {
        case .number(let number): MetricText.of(number)
        case .text(let text): text
        }
    }
}
