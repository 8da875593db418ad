import DFSHistory
import DFSLedger
import DFSModel

/// The notes on a run: the one it was started with, and those of `dfs note`.
enum RunNotes {
    /// Of the annotation.
    static let name = "note"

    struct Entry: Sendable {
        let time: Timestamp
        /// `nil`: it was removed, or cannot be read.
        let text: String?
        let user: String?

        var json: JSONValue {
            func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
            return ["time": .string(time.description), "note": text(self.text), "user": text(user)]
        }

        var cell: Cell {
            let author = "  (\(time.short)" + (user.map { " by \($0)" } ?? "") + ")"
            guard let text else { return .text("removed" + author, .dim) }
            return .text(text + author)
        }
    }

    static func of(_ run: RunRecord, _ repository: Repository) -> [Entry] {
        run.annotations.filter { $0.name == name }.map { annotation in
            let text = (try? repository.text(annotation.text)) ?? [:]
            return Entry(time: annotation.time, text: text["note"]?.string, user: text["user"]?.string)
        }
    }
}
