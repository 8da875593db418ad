import DFSModel

/// What a command answers, for programs: members of a JSON object whose `schema` names their meaning.
package protocol Payload: Sendable {
    /// `dfs.<command>/<version>`; the version changes when a member changes its meaning or goes away.
    static var schema: String { get }
    /// All but `schema`. File names are `NameText.encode`d, sizes are bytes, times RFC 3339, digests `sha256:…`.
    var json: [String: JSONValue] { get }
}

/// An answer that is one thing.
package protocol Report: Payload {
    /// Prints it for people.
    func print(to output: Output) throws(DFSError)
}

/// One line of an answer that is a list.
package protocol Row: Payload {
    static var columns: [Column] { get }
    /// As many as there are columns.
    var cells: [Cell] { get }
    /// What `--quiet` prints alone: something that other commands take as an argument.
    var key: Cell { get }
}

extension Row {
    package var key: Cell { cells.first ?? .text("") }
}
