import DFSModel
import DFSRuns

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
