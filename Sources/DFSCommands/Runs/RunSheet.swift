import DFSLedger
import DFSModel
import DFSRuns

/// Runs as CSV (RFC 4180): what is known of each, then a column for every metric and parameter of any of them.
struct RunSheet {
    let lines: [RunTable.Line]

    func print(to output: Output) throws(DFSError) {
        func names(_ keys: (RunTable.Line) -> [String]) -> [String] { Set(lines.flatMap(keys)).sorted() }
        let metrics = names { Array($0.metrics.series.keys) }
        let parameters = names { Array($0.metrics.parameters.keys) }
        try write(
            [
                "run", "name", "status", "started", "seconds", "exit", "project", "snapshot", "data", "seed", "tags",
                "command",
            ] + metrics.map { "metrics." + $0 } + parameters.map { "params." + $0 }, to: output)
        for line in lines {
            let facts = line.facts, run = facts.run
            var cells = [
                run.id.description, RunName.of(run.id), facts.status, run.time.description,
                JSONValue.double(Double(facts.milliseconds) / 1000).canonicalText, line.exit.map(String.init) ?? "",
                run.project, run.snapshot,
                run.data.map { "\($0.key)=\($0.dataset)@v\($0.version)" }.joined(separator: " "),
                line.seed.map(String.init) ?? "", run.tags.joined(separator: " "), facts.command,
            ]
            // As exact as what was logged: the shortest digits that give the same number.
            cells += metrics.map { line.metrics.series[$0].map { Self.text(MetricSeries.number($0.last.value)) } ?? "" }
            cells += parameters.map { line.metrics.parameters[$0].map(Self.text) ?? "" }
            try write(cells, to: output)
        }
    }

    private static func text(_ value: JSONValue) -> String { value.string ?? value.canonicalText }

    private func write(_ cells: [String], to output: Output) throws(DFSError) {
        let quoted = cells.map { cell in
            cell.utf8.contains { [UInt8(ascii: ","), UInt8(ascii: "\""), 0x0a, 0x0d].contains($0) }
                ? "\"" + cell.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
                : cell
        }
        try output.line(quoted.joined(separator: ","))
    }
}
