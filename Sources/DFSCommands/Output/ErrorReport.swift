import DFSModel

/// An error as the user sees it: at most three lines, and with `--json` an object below them.
package struct ErrorReport {
    private let error: DFSError
    private let exit: ExitCode

    package init(_ error: DFSError, exit: ExitCode) {
        self.error = error
        self.exit = exit
    }

    package func print(to output: Output) {
        // What was printed before the error stands before it.
        if output.isTerminal { try? output.flush() }
        for line in lines(output.talk.style) { output.talk.line(line) }
        if output.format == .json { output.talk.line(json.canonicalText) }
    }

    /// `error:`, `cause:` and `hint:`, each one line whatever stands in it.
    package func lines(_ style: Style) -> [String] {
        var out = [style.paint("error:", .bad) + " " + Self.oneLine(error.what)]
        if let cause = error.cause { out.append(style.paint("cause:", .strong) + " " + Self.oneLine(cause)) }
        if let hint = error.hint { out.append(style.paint("hint:", .accent) + " " + Self.oneLine(hint)) }
        return out
    }

    package var json: JSONValue {
        var members: [String: JSONValue] = [
            "schema": "dfs.error/1", "error": .string(error.what), "code": .string(error.code.rawValue),
            "exit": .integer(Int64(exit.rawValue)),
        ]
        if let cause = error.cause { members["cause"] = .string(cause) }
        if let hint = error.hint { members["hint"] = .string(hint) }
        if let errno = error.errno { members["errno"] = .integer(Int64(errno)) }
        return .object(members)
    }

    /// Errors quote names and arguments; neither may break the line nor act on the terminal.
    private static func oneLine(_ text: String) -> String { NameText.display(ArgumentText.bytes(of: text)) }
}
