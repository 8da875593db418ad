import DFSModel

/// Prints the rows of a list: a table, JSON Lines, or keys alone.
///
/// The first rows are held back to learn how wide the columns are; all later ones are printed at once, so that a
/// list may have millions. Used by one thread.
package final class ListWriter<Element: Row> {
    private let output: Output
    private var held: [[(bytes: [UInt8], width: Int)]] = []
    private var widths: [Int]?
    private var isEmpty = true
    private static var sample: Int { 500 }

    init(_ output: Output) { self.output = output }

    package func add(_ row: Element) throws(DFSError) {
        isEmpty = false
        if output.format == .json { return try output.object(Element.schema, row.json) }
        if output.quiet { return try emit([rendered(row.key)], [0]) }
        let cells = row.cells.map(rendered)
        if let widths { return try emit(cells, widths) }
        held.append(cells)
        if held.count == Self.sample { try settle() }
    }

    /// Prints what is held back. Must be called; `whenEmpty` is said to people where there were no rows.
    package func finish(whenEmpty: String? = nil) throws(DFSError) {
        if isEmpty, output.format == .text, let whenEmpty { output.say(whenEmpty) }
        if widths == nil, !held.isEmpty { try settle() }
    }

    private func rendered(_ cell: Cell) -> (bytes: [UInt8], width: Int) {
        cell.rendered(output.style, onTerminal: output.isTerminal)
    }

    private func settle() throws(DFSError) {
        let header = Element.columns.map { rendered(.text($0.title, .strong)) }
        let rows = [header] + held
        let widths = header.indices.map { column in rows.map { $0[column].width }.max() ?? 0 }
        self.widths = widths
        held = []
        for row in rows { try emit(row, widths) }
    }

    private func emit(_ cells: [(bytes: [UInt8], width: Int)], _ widths: [Int]) throws(DFSError) {
        var line = [UInt8]()
        for (i, cell) in cells.enumerated() {
            if i > 0 { line += [0x20, 0x20] }
            let padding = [UInt8](repeating: 0x20, count: max(0, widths[i] - cell.width))
            switch Element.columns[i].alignment {
            case .right: line += padding + cell.bytes
            case .left: line += cell.bytes + (i == cells.count - 1 ? [] : padding)
            }
        }
        line.append(UInt8(ascii: "\n"))
        try output.write(line)
    }
}
