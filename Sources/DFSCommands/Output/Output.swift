import DFSModel

/// The one way to print: data to standard output, talk to standard error.
package final class Output: Sendable {
    package enum Format: Sendable { case text, json }

    package let format: Format
    /// Only errors on standard error; only keys in lists.
    package let quiet: Bool
    package let style: Style
    package let talk: Talk
    /// Whether a person reads standard output directly.
    package let isTerminal: Bool
    private let stream: BufferedStream

    package init(
        streams: StandardStreams, format: Format, quiet: Bool, color: Style.Choice, environment: ProcessEnvironment
    ) {
        self.format = format
        self.quiet = quiet
        isTerminal = streams.outputIsTerminal
        style = Style(color, isTerminal: streams.outputIsTerminal, environment: environment)
        stream = BufferedStream(streams.output, name: "standard output")
        talk = Talk(
            descriptor: streams.error, isTerminal: streams.errorIsTerminal,
            style: Style(color, isTerminal: streams.errorIsTerminal, environment: environment))
    }

    /// Prints the answer of a command in the form the user chose.
    package func report<Answer: Report>(_ answer: Answer) throws(DFSError) {
        switch format {
        case .json: try object(Answer.schema, answer.json)
        case .text: try answer.print(to: self)
        }
    }

    /// Begins a list. Rows appear as they are added; nothing is kept but the first few hundred.
    package func list<Element: Row>(of type: Element.Type) -> ListWriter<Element> { ListWriter(self) }

    /// Prints a whole list; where it is empty, people are told `whenEmpty`.
    package func list<Element: Row>(_ rows: some Sequence<Element>, whenEmpty: String? = nil) throws(DFSError) {
        let writer = list(of: Element.self)
        for row in rows { try writer.add(row) }
        try writer.finish(whenEmpty: whenEmpty)
    }

    /// A line of data.
    package func line(_ text: String = "") throws(DFSError) { try write(Array(text.utf8) + [UInt8(ascii: "\n")]) }

    /// Data as it is.
    package func write(_ bytes: [UInt8]) throws(DFSError) {
        try stream.write(bytes)
        if isTerminal { try stream.flush() }
    }

    /// A JSON object on a line of its own.
    package func object(_ schema: String, _ members: [String: JSONValue]) throws(DFSError) {
        try line(JSONValue.object(members.merging(["schema": .string(schema)]) { _, schema in schema }).canonicalText)
    }

    /// Labels and values in two aligned columns.
    package func fields(_ fields: [(String, Cell)]) throws(DFSError) {
        let width = fields.map { TextWidth.of($0.0) }.max() ?? 0
        for (label, value) in fields {
            let padding = String(repeating: " ", count: width - TextWidth.of(label) + 2)
            let cell = value.rendered(style, onTerminal: isTerminal)
            try write(Array((style.paint(label, .dim) + padding).utf8) + cell.bytes + [UInt8(ascii: "\n")])
        }
    }

    /// Tells the user something that is not the answer.
    package func say(_ text: String) { if !quiet { tell(Self.harmless(text)) } }

    /// Tells the user of something that is probably not as it should be.
    package func warn(_ text: String) { tell(talk.style.paint("warning:", .warning) + " " + Self.harmless(text)) }

    /// Names that others chose may not act on the terminal.
    private static func harmless(_ text: String) -> String { NameText.display(ArgumentText.bytes(of: text)) }

    /// Sends what was printed; a command that follows something calls it, all others need not.
    package func flush() throws(DFSError) { try stream.flush() }

    /// Whether nobody reads standard output any more.
    package var readerIsGone: Bool { stream.readerIsGone }

    private func tell(_ text: String) {
        // On one terminal, talk comes after the data printed before it.
        if isTerminal { try? stream.flush() }
        talk.line(text)
    }
}
