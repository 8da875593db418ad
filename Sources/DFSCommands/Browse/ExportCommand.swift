import ArgumentParser
import DFSHistory
import DFSModel
import DFSStore
import DFSSystem
import Glibc

/// `dfs export`: a writable copy.
struct ExportCommand: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a plain, writable copy of a tree or file.")

    @Argument(help: "A reference.") var reference: String
    @Argument(help: ArgumentHelp("Where: absent, or an empty directory.", valueName: "dest")) var destination: String
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        let target = try context.resolve(reference, try context.resolver(repository))
        let path = try context.absolute(destination)
        try checkSpace(target.resolved.entry, path)
        let export: Export
        do {
            export = try context.undoing(undo(path, context)) { () throws(DFSError) in
                try run(target, to: path, repository, context)
            }
        } catch { throw runnable(error, path) }
        try context.output.report(
            ExportReport(
                reference: target.resolved.text, destination: path, files: export.files.current,
                bytes: export.bytes.current, content: target.resolved.entry.content))
        return .done
    }

    private func run(
        _ target: Target, to path: String, _ repository: Repository, _ context: CommandContext
    ) throws(DFSError) -> Export {
        try context.progress.track("export \(target.resolved.text)") { activity throws(DFSError) in
            activity.expectedBytes.increment(by: Int(clamping: target.resolved.entry.size))
            let export = Export(
                reader: repository.reader, threads: context.jobs,
                counting: (files: activity.files, bytes: activity.bytes))
            try export.run(target.resolved.entry, to: path)
            return export
        }
    }

    /// What was not there before is removed; in a directory that was there half a copy stays.
    private func undo(_ path: String, _ context: CommandContext) -> @Sendable () -> Void {
        let wasThere = Files.exists(path)
        return {
            // The export goes on meanwhile, and may make a name in a directory that is about to be removed.
            for _ in 0..<100 where !wasThere {
                if (try? Files.removeTree(path)) != nil, !Files.exists(path) { break }
            }
            context.output.say(
                "interrupted; " + (Files.exists(path) ? "the copy in \(path) is not whole" : "\(path) was removed"))
        }
    }

    private func checkSpace(_ entry: TreeEntry, _ path: String) throws(DFSError) {
        let place = Files.exists(path) ? path : Files.parent(path)
        var s = statvfs()
        guard statvfs(place, &s) == 0 else {
            throw DFSError(
                .operational, "cannot write to \(path)", cause: "\(place) is not there",
                hint: "mkdir -p \(ShellText.quote(place))", errno: ENOENT)
        }
        let free = UInt64(s.f_bavail) * UInt64(s.f_frsize)
        guard entry.kind != .symlink, entry.size > free else { return }
        throw DFSError(
            .operational, "there is no room for the copy",
            cause: "it needs \(ByteCount(entry.size)), \(ByteCount(free)) are free in \(place); nothing was written",
            hint: "df -h \(ShellText.quote(place))", errno: ENOSPC)
    }

    private func runnable(_ error: DFSError, _ path: String) -> DFSError {
        guard error.code == .refused, Files.exists(path) else { return error }
        let words = ["dfs", "export", reference, Files.isDirectory(path) ? path + "/copy" : path + ".copy"]
        return DFSError(
            error.code, error.what, cause: error.cause, hint: words.map(ShellText.quote).joined(separator: " "))
    }
}

struct ExportReport: Report {
    static let schema = "dfs.export/1"

    let reference: String
    let destination: String
    let files: Int
    let bytes: Int
    let content: ContentDigest

    var json: [String: JSONValue] {
        [
            "reference": .string(reference), "destination": .string(destination), "files": .integer(Int64(files)),
            "bytes": .integer(Int64(bytes)), "content": .string(content.digest.text),
        ]
    }

    func print(to output: Output) throws(DFSError) {
        try output.line(
            "\(reference) -> \(destination)  \(Quantity.count(files, "file")), \(ByteCount(UInt64(bytes)))")
    }
}
