import DFSHistory
import DFSLedger
import DFSModel

/// What two runs read under one key.
package struct InputComparison: Sendable, Equatable {
    package let key: String
    /// `nil`: that run has no such key.
    package let a, b: RunInput?
    /// What differs in it; `nil` where it is the same, on one side only, or cannot be read any more.
    package let files: TreeComparison?

    package var isSame: Bool { a?.content == b?.content }

    static func all(
        _ a: RunRecord, _ b: RunRecord, _ state: LedgerState, _ reader: TreeReader
    ) -> [InputComparison] {
        func input(_ key: String, _ run: RunRecord) -> RunInput? { run.data.first { $0.key == key } }
        func tree(_ input: RunInput) -> TreeReference? { state.datasets[input.dataset]?.version(input.version)?.tree }
        return Set((a.data + b.data).map(\.key)).sorted().map { key in
            let (x, y) = (input(key, a), input(key, b))
            var files: TreeComparison?
            if let x, let y, x.content != y.content, let old = tree(x), let new = tree(y) {
                files = try? TreeComparison(old, new, reader)
            }
            return InputComparison(key: key, a: x, b: y, files: files)
        }
    }

    package var json: JSONValue {
        func side(_ input: RunInput?) -> JSONValue {
            guard let input else { return .null }
            return [
                "dataset": .string(input.dataset), "version": .integer(Int64(input.version)),
                "content": .string(input.content.digest.text),
            ]
        }
        return [
            "key": .string(key), "isSame": .bool(isSame), "a": side(a), "b": side(b), "files": files?.json() ?? .null,
        ]
    }
}
