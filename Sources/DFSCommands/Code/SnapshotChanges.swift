import DFSHistory
import DFSLedger
import DFSModel
import DFSStore

/// How a snapshot differs from the one before it: numbers of files.
struct SnapshotChanges {
    private static let anyTime = Timestamp(seconds: 0, nanoseconds: 0)

    private(set) var added = 0, removed = 0, modified = 0
    let isFirst: Bool

    /// Of a snapshot that was just captured.
    init(_ code: CapturedCode, _ repository: Repository) throws(DFSError) {
        try self.init(code.isNew ? code.previous?.tree : code.tree, code.tree, repository)
    }

    init(_ before: TreeReference?, _ after: TreeReference, _ repository: Repository) throws(DFSError) {
        isFirst = before == nil
        guard let before else { return }
        var counts = [TreeChange.Kind: Int]()
        try TreeDiff(reader: repository.reader).changes(
            from: .root(before, modified: Self.anyTime), to: .root(after, modified: Self.anyTime)
        ) { change throws(DFSError) in
            guard (change.after ?? change.before)?.kind != .directory else { return }
            counts[change.kind, default: 0] += 1
        }
        (added, removed, modified) = (counts[.added] ?? 0, counts[.removed] ?? 0, counts[.modified] ?? 0)
    }

    /// `2 added, 1 modified`
    var sentence: String {
        if isFirst { return "first" }
        let parts = [(added, "added"), (removed, "removed"), (modified, "modified")].filter { $0.0 > 0 }
        return parts.isEmpty ? "no change" : parts.map { "\(Quantity.number($0.0)) \($0.1)" }.joined(separator: ", ")
    }

    var json: [String: JSONValue] {
        guard !isFirst else { return [:] }
        return [
            "added": .integer(Int64(added)), "removed": .integer(Int64(removed)), "modified": .integer(Int64(modified)),
        ]
    }
}
