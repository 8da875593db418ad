import DFSHistory
import DFSLedger
import DFSModel
import DFSStore

/// What differs between two stored trees, file by file.
package struct TreeComparison: Sendable, Equatable {
    package enum State: String, Sendable, CaseIterable {
        case different
        case onlyA = "only in a"
        case onlyB = "only in b"
    }

    package struct File: Sendable, Equatable {
        /// Slash-joined, relative to the tree.
        package let path: [UInt8]
        package let state: State
        package let a, b: ContentDigest?

        package var json: JSONValue {
            [
                "path": .string(NameText.encode(path)), "state": .string(state.rawValue),
                "a": a.map { .string($0.digest.text) } ?? .null, "b": b.map { .string($0.digest.text) } ?? .null,
            ]
        }
    }

    /// Files and links that differ, in order of paths; directories only where they are empty.
    package let differing: [File]
    /// How many files are the same on both sides.
    package let same: UInt64

    package var isSame: Bool { differing.isEmpty }
    package func count(_ state: State) -> Int { differing.count { $0.state == state } }

    init(_ a: TreeReference, _ b: TreeReference, _ reader: TreeReader) throws(DFSError) {
        var found = [File]()
        var filesOfA: UInt64 = 0
        try TreeDiff(reader: reader).changes(from: Self.root(a), to: Self.root(b)) { change throws(DFSError) in
            let entry = change.after ?? change.before
            // What is in a directory is told by itself.
            if let entry, entry.kind == .directory, entry.files > 0 { return }
            if change.before.map({ $0.kind != .directory }) == true { filesOfA += 1 }
            let state: State =
                switch change.kind {
                case .added: .onlyB
                case .removed: .onlyA
                case .modified, .renamed: .different
                }
            found.append(
                File(path: change.path, state: state, a: change.before?.content, b: change.after?.content))
        }
        differing = found
        same = a.files >= filesOfA ? a.files - filesOfA : 0
    }

    private static func root(_ tree: TreeReference) -> TreeEntry {
        .root(tree, modified: Timestamp(seconds: 0, nanoseconds: 0))
    }

    /// `2 files differ (a.txt, b/c), 1 only in b`
    package var summary: String {
        guard !isSame else { return "the same (\(Quantity.count(same, "file")))" }
        let names = differing.prefix(3).map { NameText.display($0.path) }.joined(separator: ", ")
        let parts = State.allCases.compactMap { state -> String? in
            let count = count(state)
            return count == 0 ? nil : "\(Quantity.number(count)) \(state.rawValue)"
        }
        return parts.joined(separator: ", ") + ", \(Quantity.number(same)) the same: " + names
            + (differing.count > 3 ? ", …" : "")
    }

    /// At most `limit` files are listed; the counts are of all.
    package func json(limit: Int = 1000) -> JSONValue {
        [
            "isSame": .bool(isSame), "same": .integer(Int64(clamping: same)),
            "different": .integer(Int64(count(.different))), "onlyA": .integer(Int64(count(.onlyA))),
            "onlyB": .integer(Int64(count(.onlyB))), "files": .array(differing.prefix(limit).map(\.json)),
        ]
    }
}
