import DFSHistory
import DFSModel
import DFSStore
import DFSSystem

/// How much differs: changes of each kind, and files with their bytes, for each top-level directory and in all.
struct ChangeSummary: Report {
    static let schema = "dfs.diff/1"

    /// Files and symlinks, and the bytes of the former: of what was removed before, of all else after.
    struct Amount {
        var files = 0
        var bytes: UInt64 = 0

        var json: JSONValue { ["files": .integer(Int64(files)), "bytes": .integer(Int64(clamping: bytes))] }
    }

    private typealias Amounts = [TreeChange.Kind: Amount]

    private let old: String
    private let new: String
    private var counts = [TreeChange.Kind: Int]()
    private var bytes: (added: UInt64, removed: UInt64) = (0, 0)
    private var total = Amounts()
    /// By the first part of the path; what lies in the root itself is under the empty name.
    private var directories = [[UInt8]: Amounts]()

    init(old: String, new: String) {
        self.old = old
        self.new = new
    }

    var isEmpty: Bool { counts.isEmpty }

    mutating func add(_ change: TreeChange) {
        counts[change.kind, default: 0] += 1
        if change.kind != .renamed {
            if let entry = change.after, entry.kind == .file { bytes.added += entry.size }
            if let entry = change.before, entry.kind == .file { bytes.removed += entry.size }
        }
        guard let entry = change.after ?? change.before else { return }
        var amount = Amount()
        // What is in a directory follows as changes of its own, unless it was renamed.
        if entry.kind == .directory, change.kind == .renamed {
            amount = Amount(files: Int(clamping: entry.files), bytes: entry.size)
        } else if entry.kind != .directory {
            amount = Amount(files: 1, bytes: entry.kind == .file ? entry.size : 0)
        }
        var top = Array(change.path.prefix { $0 != 0x2f })
        if top.count == change.path.count, entry.kind != .directory { top = [] }
        Self.add(amount, change.kind, to: &total)
        Self.add(amount, change.kind, to: &directories[top, default: [:]])
    }

    private static func add(_ amount: Amount, _ kind: TreeChange.Kind, to amounts: inout Amounts) {
        amounts[kind, default: Amount()].files += amount.files
        amounts[kind, default: Amount()].bytes += amount.bytes
    }

    private var sorted: [(key: [UInt8], value: Amounts)] {
        directories.sorted { ByteOrder.precedes($0.key, $1.key) }
    }

    var json: [String: JSONValue] {
        var members: [String: JSONValue] = [
            "old": .string(old), "new": .string(new), "bytesAdded": .integer(Int64(clamping: bytes.added)),
            "bytesRemoved": .integer(Int64(clamping: bytes.removed)), "total": .object(SummaryRow.json(total)),
            "directories": .array(
                sorted.map { name, amounts in .object(SummaryRow(name: name, amounts: amounts).json) }),
        ]
        for kind in TreeChange.Kind.allCases { members[kind.rawValue] = .integer(Int64(counts[kind] ?? 0)) }
        return members
    }

    /// `faces@v1 -> faces@v2: 2 added, 1 removed, 0 modified, 0 renamed`
    var sentence: String {
        if isEmpty { return "\(old) and \(new) hold the same" }
        let parts = TreeChange.Kind.allCases.map { "\(Quantity.number(counts[$0] ?? 0)) \($0.rawValue)" }
        return "\(old) -> \(new): \(parts.joined(separator: ", "))"
    }

    func print(to output: Output) throws(DFSError) {
        if !isEmpty {
            let list = output.list(of: SummaryRow.self)
            for (name, amounts) in sorted {
                try list.add(SummaryRow(name: name.isEmpty ? [UInt8(ascii: ".")] : name, amounts: amounts))
            }
            try list.add(SummaryRow(name: Array("total".utf8), amounts: total))
            try list.finish()
        }
        try output.line(sentence + (isEmpty ? "" : "  (+\(ByteCount(bytes.added)), -\(ByteCount(bytes.removed)))"))
    }
}

/// A line of `dfs diff --stat`.
private struct SummaryRow: Row {
    static let schema = ChangeSummary.schema
    static let columns =
        TreeChange.Kind.allCases.flatMap { [Column($0.rawValue, .right), Column("", .right)] } + [Column("directory")]

    let name: [UInt8]
    let amounts: [TreeChange.Kind: ChangeSummary.Amount]

    static func json(_ amounts: [TreeChange.Kind: ChangeSummary.Amount]) -> [String: JSONValue] {
        Dictionary(
            uniqueKeysWithValues: TreeChange.Kind.allCases.map {
                ($0.rawValue, (amounts[$0] ?? ChangeSummary.Amount()).json)
            })
    }

    var json: [String: JSONValue] {
        Self.json(amounts).merging(["path": .string(NameText.encode(name))]) { amount, _ in amount }
    }

    var cells: [Cell] {
        TreeChange.Kind.allCases.flatMap { kind -> [Cell] in
            guard let amount = amounts[kind], amount.files > 0 else { return [.text("0", .dim), .text("")] }
            return [.text(Quantity.number(amount.files), kind.role), .size(amount.bytes)]
        } + [.name(name)]
    }
    var key: Cell { .name(name) }
}
