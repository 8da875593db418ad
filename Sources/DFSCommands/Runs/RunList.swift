import DFSModel
import DFSRuns

/// Prints the lines of `dfs runs` in the form that was asked for.
struct RunList {
    private let output: Output
    private let plain: ListWriter<RunRow>
    private let valued: ListWriter<RunValuesRow>
    private let isPlain: Bool
    private let isCSV: Bool

    init(output: Output, table: RunTable, isCSV: Bool) {
        self.output = output
        self.isCSV = isCSV
        isPlain = table.isPlain
        plain = output.list(of: RunRow.self)
        valued = output.list(of: RunValuesRow.self)
    }

    func add(_ line: RunTable.Line) throws(DFSError) {
        if isPlain { try plain.add(RunRow(facts: line.facts)) } else { try valued.add(RunValuesRow(line: line)) }
    }

    /// Prints what could not be printed before.
    func finish(_ lines: [RunTable.Line]) throws(DFSError) {
        if isCSV { return try RunSheet(lines: lines).print(to: output) }
        for line in lines { try add(line) }
        if isPlain { try plain.finish(whenEmpty: "no such runs") } else { try valued.finish(whenEmpty: "no such runs") }
    }
}
