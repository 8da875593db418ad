import ArgumentParser
import DFSHistory
import DFSModel
import DFSRuns
import DFSSystem
import Glibc

/// `dfs code scan`: the secrets that would stop a capture. Needs no store, and records nothing.
struct CodeScan: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "scan", abstract: "Show the secrets that would stop a capture; exit 1 when there are.")

    @Argument(help: "A directory or a file (default: this directory).") var path: String?
    @Flag(help: "All files, also those that git or ignore files leave out.") var all = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let start = if let path { try context.absolute(path) } else { try context.environment.workingDirectory }
        let list = context.output.list(of: SecretRow.self)
        var walk = Walk()
        if Files.isDirectory(start) {
            let survey = try survey(start, context)
            let patterns = try ProjectFile.find(from: start)?.run.allowSecrets ?? []
            walk.waivers = SecretWaivers(patterns: patterns)
            let directory = try OwnedDescriptor.open(survey?.root ?? start, O_RDONLY | O_DIRECTORY)
            try walk.directory(directory, [], survey?.exclusions.root) { row throws(DFSError) in try list.add(row) }
        } else {
            guard Files.exists(start) else {
                throw DFSError(
                    .noReference, "\(start) does not exist", hint: "ls -ld \(ShellText.quote(Files.parent(start)))")
            }
            let (file, status) = try Files.openRegular(start)
            try walk.file(file, status.size, Array(start.utf8)) { row throws(DFSError) in try list.add(row) }
        }
        try list.finish()
        context.output.say(
            "\(Quantity.count(walk.files, "file")), \(ByteCount(walk.bytes)): "
                + "\(Quantity.count(walk.stopping, "secret")), \(walk.waived) waived")
        return walk.stopping > 0 ? .differences : .done
    }

    private func survey(_ start: String, _ context: CommandContext) throws(DFSError) -> CodeSurvey? {
        all ? nil : try CodeSurvey.survey(root: start, options: .init(environment: context.environment.variables))
    }

    private struct Walk {
        var waivers = SecretWaivers()
        var files = 0, bytes: UInt64 = 0, stopping = 0, waived = 0

        mutating func directory(
            _ directory: OwnedDescriptor, _ path: [UInt8], _ node: ExclusionTree.Node?,
            _ found: (SecretRow) throws(DFSError) -> Void
        ) throws(DFSError) {
            for name in try DirectoryListing.names(of: directory).sorted(by: ByteOrder.precedes) {
                guard case .visit(let below) = ExclusionTree.verdict(node, name),
                    let status = try FileStatus.of(name, at: directory.raw)
                else { continue }
                let full = path + name
                let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
                switch status.kind {
                case .directory:
                    let inner = try OwnedDescriptor.open(bytes: name, flags | O_DIRECTORY, at: directory.raw)
                    try self.directory(inner, full + [UInt8(ascii: "/")], below, found)
                case .file:
                    try file(OwnedDescriptor.open(bytes: name, flags, at: directory.raw), status.size, full, found)
                default: continue
                }
            }
        }

        mutating func file(
            _ file: OwnedDescriptor, _ size: UInt64, _ path: [UInt8], _ found: (SecretRow) throws(DFSError) -> Void
        ) throws(DFSError) {
            files += 1
            bytes += size
            for one in try SecretFile.scan(file, name: path, size: size) {
                let ground = waivers.ground(path, isWaivedByLine: one.isWaived)
                if ground == nil { stopping += 1 } else { waived += 1 }
                try found(SecretRow(secret: LocatedSecret(path: path, finding: one.finding), ground: ground))
            }
        }
    }
}

private struct SecretRow: Row {
    static let schema = "dfs.code-scan/1"
    static let columns = [Column("where"), Column("rule"), Column("begins"), Column("waived")]

    let secret: LocatedSecret
    let ground: SecretWaivers.Ground?

    var json: [String: JSONValue] {
        (secret.json.object ?? [:]).merging(["waived": ground.map { .string($0.rawValue) } ?? .null]) { $1 }
    }

    var cells: [Cell] {
        [
            key, .text(secret.finding.rule.rawValue, ground == nil ? .bad : .dim), .text(secret.finding.preview),
            .text(ground?.rawValue ?? ""),
        ]
    }

    var key: Cell { .name(secret.path + Array(":\(secret.finding.line)".utf8)) }
}
