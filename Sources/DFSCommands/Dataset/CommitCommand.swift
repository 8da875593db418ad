import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel
import DFSSystem

/// `dfs commit`: records the next version of a dataset.
struct CommitCommand: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "commit", abstract: "Record a directory as the next version of a dataset.")

    @Argument(help: "The dataset (default: the one that dfs.toml names).") var name: String?
    @Argument(help: "A directory, or a reference such as run:ID/outputs (default: what was used last).")
    var source: String?
    @Option(name: .shortAndLong, help: "Why there is a new version.") var message: String?
    @Option(help: "Also give the version this tag.") var tag: String?
    @Option(help: ArgumentHelp("A fact to keep with the version.", valueName: "key=value")) var meta: [String] = []
    @Flag(help: "Accept an empty source, or one that drops more than half the files.") var allowShrink = false
    @Flag(help: "Leave out sockets, fifos and devices.") var skipSpecial = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let metadata = try facts()
        try context.warnOfProject()
        let first: Repository?
        if try context.storeExists() { first = try context.repository() } else { first = nil }
        let choice = try SourceChoice.make(name, source, context, first)
        let repository = if let first { first } else { try context.repository(creating: true) }
        var commit = Commit(
            repository: repository, dataset: choice.dataset, source: choice.source, options: CaptureOptions())
        commit.message = message
        commit.tag = tag
        commit.metadata = metadata
        commit.allowShrink = allowShrink
        commit.host = context.identity()
        do {
            let outcome = try context.undoing(undo(commit, context)) { () throws(DFSError) in
                if choice.isReference { try record(commit, context) } else { try capture(commit, context) }
            }
            try context.output.report(CommitReport(dataset: choice.dataset, source: choice.source, outcome: outcome))
            tell(outcome.notes, context)
            if !outcome.isNew, message != nil || !metadata.isEmpty {
                let what = message == nil ? "metadata" : metadata.isEmpty ? "message" : "message and metadata"
                context.output.warn("\(what) not recorded: nothing changed")
            }
        } catch { throw runnable(error, choice) }
        return .done
    }

    /// The entry may stand already when the signal comes, so it is looked at.
    private func undo(_ commit: Commit, _ context: CommandContext) -> @Sendable () -> Void {
        let (repository, dataset) = (commit.repository, commit.dataset)
        let before = (try? repository.state())?.datasets[dataset]?.latest?.number
        return {
            Temporaries(store: repository.root).removeOwn()
            let now = (try? repository.state())?.datasets[dataset]?.latest?.number
            context.output.say(
                now == before ? "interrupted; nothing was recorded" : "interrupted; \(dataset) v\(now ?? 0) is recorded"
            )
        }
    }

    private func facts() throws(DFSError) -> [String: String] {
        var out = [String: String]()
        for fact in meta {
            guard let equals = fact.firstIndex(of: "="), equals != fact.startIndex else {
                throw DFSError(.usage, "--meta \(fact) is not KEY=VALUE", hint: "dfs commit --help")
            }
            let key = String(fact[..<equals])
            guard out[key] == nil else {
                throw DFSError(.usage, "--meta \(key) is given twice", hint: "dfs commit --help")
            }
            out[key] = String(fact[fact.index(after: equals)...])
        }
        return out
    }

    private func record(_ commit: Commit, _ context: CommandContext) throws(DFSError) -> Commit.Outcome {
        let resolver = try context.resolver(commit.repository)
        let target = try context.resolve(commit.source, resolver)
        let source = StoredSource(
            entry: target.resolved.entry, record: try resolver.record(of: target.reference),
            reference: target.resolved.text, version: target.resolved.version)
        return try commit.record(tree: source, by: try context.signer())
    }

    private func capture(_ commit: Commit, _ context: CommandContext) throws(DFSError) -> Commit.Outcome {
        var commit = commit
        try Self.checkSource(commit.source, context, commit.repository)
        let filter = try SourceFilter(root: commit.source)
        let signer = try context.signer()
        let latest = try commit.repository.state().datasets[commit.dataset]?.latest
        try SpaceCheck(source: commit.source, filter: filter, threads: context.jobs).run(
            store: commit.repository.root, known: latest?.tree.bytes, resumable: commit.resumableBytes)
        return try context.progress.track("commit \(commit.dataset)") { activity throws(DFSError) in
            commit.options = CaptureOptions(
                threads: context.jobs, filter: filter, skipSpecial: skipSpecial,
                progress: CaptureProgress(files: activity.files, bytesRead: activity.bytes))
            return try commit.run(by: signer)
        }
    }

    private static func checkSource(
        _ source: String, _ context: CommandContext, _ repository: Repository
    ) throws(DFSError) {
        guard let status = try FileStatus.of(path: source, following: true) else {
            throw DFSError(.operational, "\(source) is not there", hint: "ls \(ShellText.quote(Files.parent(source)))")
        }
        guard status.kind == .directory else {
            throw DFSError(
                .usage, "\(source) is not a directory", cause: "a dataset is made from a directory",
                hint: "dfs commit --help")
        }
        try OwnPlaces(context, repository).checkSource(source)
    }

    private func tell(_ notes: CaptureNotes, _ context: CommandContext) {
        if !notes.special.isEmpty {
            let names = notes.special.prefix(5).map { NameText.display($0) }.joined(separator: ", ")
            context.output.warn("left out \(Quantity.count(notes.special.count, "special file")): \(names)")
        }
        let dropped = [
            (notes.hardLinks, "hard links"), (notes.specialBits, "setuid, setgid or sticky bits"),
            (notes.extendedAttributes, "extended attributes"),
        ].filter { $0.0 > 0 }.map { "\($0.1) of \(Quantity.count($0.0, "file"))" }
        if !dropped.isEmpty { context.output.say("not kept: " + dropped.joined(separator: ", ")) }
    }

    /// Errors whose remedy is an option get the command line that has it.
    private func runnable(_ error: DFSError, _ choice: SourceChoice) -> DFSError {
        let start = "repeat the command with "
        guard let hint = error.hint, hint.hasPrefix(start) else { return error }
        let option = hint.dropFirst(start.count).prefix { $0 != "," && $0 != " " }
        let words = ["dfs", "commit", choice.dataset, choice.source, String(option)].map(ShellText.quote)
        return DFSError(
            error.code, error.what, cause: error.cause, hint: words.joined(separator: " "), errno: error.errno)
    }
}

extension SourceFilter {
    /// Whether an absolute path below `root` is left out, itself or through a directory above it.
    func excludes(_ path: String, below root: String) -> Bool {
        var prefix = [UInt8]()
        for part in path.dropFirst(root.count).split(separator: "/") {
            prefix += (prefix.isEmpty ? [] : [0x2f]) + Array(part.utf8)
            if !includes(prefix, isDirectory: true) { return true }
        }
        return false
    }
}

struct CommitReport: Report {
    static let schema = "dfs.commit/1"

    let dataset: String
    let source: String
    let outcome: Commit.Outcome

    var json: [String: JSONValue] {
        let version = outcome.version
        return [
            "dataset": .string(dataset), "version": .integer(Int64(version.number)), "new": .bool(outcome.isNew),
            "content": .string(version.content.digest.text), "tree": .string(version.tree.tree.digest.text),
            "files": .integer(Int64(version.tree.files)), "bytes": .integer(Int64(version.tree.bytes)),
            "filesRead": .integer(Int64(outcome.filesRead)), "bytesRead": .integer(Int64(outcome.bytesRead)),
            "storedBytes": .integer(Int64(outcome.storedBytes)), "time": .string(version.time.description),
            "previous": outcome.previous.map { .integer(Int64($0.number)) } ?? .null,
            "source": .string(source), "capture": outcome.notes.json,
        ]
    }

    func print(to output: Output) throws(DFSError) {
        let tree = outcome.version.tree
        var line = "\(dataset) v\(outcome.version.number)  \(tree.content.digest.short)  "
        line += "\(Quantity.count(tree.files, "file")), \(ByteCount(tree.bytes))"
        line +=
            outcome.isNew ? " (stored \(ByteCount(UInt64(outcome.storedBytes))) new)" : " (unchanged, no new version)"
        if !outcome.notes.ignored.isEmpty { line += ", \(Quantity.number(outcome.notes.ignored.count)) ignored" }
        try output.line(line)
    }
}
