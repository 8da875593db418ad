import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel

/// `dfs note`: says something of a run after it was recorded.
struct Note: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "note", abstract: "Write a note on a run; dfs show shows all of them.")

    @Argument(help: "The run.") var run: String
    @Argument(help: "What is to be known of it.") var text: String
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        guard !text.allSatisfy(\.isWhitespace) else {
            throw DFSError(.usage, "the note is empty", hint: "dfs note \(ShellText.quote(run)) 'WHAT IS TO BE KNOWN'")
        }
        try SpokenSecrets.refuse(
            text, in: "the note", hint: "dfs note \(ShellText.quote(run)) 'WHAT IS TO BE KNOWN, WITHOUT THE SECRET'")
        let repository = try context.repository()
        let run = try context.run(run, try context.resolver(repository))
        var fields = context.identity()
        fields["note"] = .string(text)
        try Annotation(repository: repository, run: run.id, name: RunNotes.name).append(
            [:], text: fields, by: try context.signer())
        try context.output.report(NoteReport(run: run.id, text: text))
        return .done
    }
}

struct NoteReport: Report {
    static let schema = "dfs.note/1"

    let run: RunID
    let text: String

    var json: [String: JSONValue] { ["run": .string(run.description), "note": .string(text)] }

    func print(to output: Output) throws(DFSError) { try output.line("run \(run.short) has a note") }
}
