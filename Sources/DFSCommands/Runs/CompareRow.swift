import DFSModel

/// A line of the comparison.
struct CompareRow: Row {
    static let schema = "dfs.compare.row/1"
    static let columns = [Column(""), Column("what"), Column("a"), Column("b"), Column("")]

    private let what, a, b, note: String
    /// `nil`: nothing that could count as a difference.
    private let differs: Bool?

    init(_ what: String, _ a: String, _ b: String, _ differs: Bool?, _ note: String = "") {
        (self.what, self.a, self.b, self.differs, self.note) = (what, a, b, differs, note)
    }

    var json: [String: JSONValue] { ["what": .string(what), "a": .string(a), "b": .string(b)] }

    var cells: [Cell] {
        let mark = differs.map { $0 ? "≠" : "=" } ?? ""
        return [
            .text(mark, differs == true ? .warning : .dim), .text(what, differs == true ? .strong : .plain),
            .text(Self.short(a)), .text(Self.short(b)), .text(note, .dim),
        ]
    }

    var key: Cell { .text(what) }

    private static func short(_ text: String) -> String { text.count > 44 ? text.prefix(43) + "…" : text }
}
