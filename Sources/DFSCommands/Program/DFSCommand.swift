import ArgumentParser
import DFSModel

/// A command: a leaf of the command tree.
///
/// It declares its arguments with ArgumentParser's property wrappers and does its work in `execute`. It reads
/// nothing of the process but what the context holds, and prints through `context.output` only.
protocol DFSCommand: ParsableCommand {
    /// `@OptionGroup(title: "Global options") var global: GlobalOptions`
    var global: GlobalOptions { get }

    /// Which exit codes stand for this command's errors.
    static var exitTable: ExitCode.Table { get }

    /// Does the work. An error is reported and becomes an exit code; output is flushed after.
    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode
}

extension DFSCommand {
    static var exitTable: ExitCode.Table { .general }
}
