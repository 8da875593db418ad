import ArgumentParser
import DFSHistory
import DFSModel
import DFSSystem

/// `dfs code`: snapshots of projects, by hand and on every change.
struct CodeGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "code", abstract: "Record a project's code: now, or on every change.",
        subcommands: [CodeSnapshot.self, CodeWatch.self, CodeLog.self, CodeScan.self])

    static let secretsHint =
        "end the line with a comment dfs:allow-secret, ignore the file, or: dfs code snapshot --allow-secrets REASON"
}

extension CommandContext {
    /// A directory given on the command line, or the working directory; it must be there.
    func directory(_ path: String?) throws(DFSError) -> String {
        let directory = if let path { try absolute(path) } else { try environment.workingDirectory }
        guard Files.isDirectory(directory) else {
            throw DFSError(
                .noReference, "\(directory) is no directory", cause: "a project is one",
                hint: "ls -ld \(ShellText.quote(directory))")
        }
        return directory
    }

    /// How the project around `directory` is captured.
    func projectCapture(
        _ directory: String, _ repository: Repository, allowSecrets: String?
    ) throws(DFSError) -> ProjectCapture {
        ProjectCapture(
            context: self, repository: repository, project: try ProjectFile.find(from: directory),
            allowSecrets: allowSecrets, hint: CodeGroup.secretsHint)
    }
}
