import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns

/// `dfs access RUN`: the versioned files that a run opened.
struct AccessCommand: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "access", abstract: "List the versioned files that a run opened.",
        discussion: "What this list can be relied on to hold is said at its end, and in run:ID/evidence/access.json.")

    @Argument(help: ArgumentHelp("A run: its id, a part of it, its name, or latest.", valueName: "run"))
    var run: String

    @Flag(help: "What was denied to it, and attempted, instead.")
    var denied = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        context.closeDeadRuns(repository)
        let run = try context.run(run, try context.resolver(repository))
        let reader = try AccessReader(of: run, repository: repository)
        if denied { return try listDenied(reader, context) }
        let list = context.output.list(of: AccessRow.self)
        let frame = try reader.read { file throws(DFSError) in try list.add(AccessRow(file: file)) }
        try list.finish(whenEmpty: "it opened no versioned file")
        for gap in frame["predicate"]?["dfsCoverage"]?["gaps"]?.array ?? [] {
            context.output.warn(gap.string ?? "")
        }
        return .done
    }

    private func listDenied(_ reader: AccessReader, _ context: CommandContext) throws(DFSError) -> ExitCode {
        let frame = try reader.read { _ in }
        let list = context.output.list(of: DeniedRow.self)
        for attempt in frame["predicate"]?["dfsDenied"]?.array ?? [] { try list.add(DeniedRow(attempt: attempt)) }
        try list.finish(whenEmpty: "it attempted nothing that was denied to it")
        return .done
    }
}

struct AccessRow: Row {
    static let schema = "dfs.access/1"
    static let columns = [
        Column("first"), Column("last"), Column("seen", .right), Column("size", .right), Column("sha256"),
        Column("file"),
    ]

    let file: AccessReader.File

    var key: Cell { .text(file.name) }

    var json: [String: JSONValue] {
        var members: [String: JSONValue] = [
            "name": .string(file.name), "uri": .string(file.uri), "first": .string(file.first),
            "last": .string(file.last), "count": .integer(file.count),
        ]
        if let digest = file.digest { members["digest"] = .string(digest.text) }
        if let size = file.size { members["size"] = .integer(Int64(clamping: size)) }
        return members
    }

    var cells: [Cell] {
        [
            .text(file.first, .dim), .text(file.last, .dim), .number(file.count),
            file.size.map { .size($0) } ?? .text("unknown"), .text(file.digest.map { String($0.hex.prefix(12)) } ?? ""),
            key,
        ]
    }
}

struct DeniedRow: Row {
    static let schema = "dfs.denied/1"
    static let columns = [
        Column("first"), Column("last"), Column("attempts", .right), Column("of"), Column("by"), Column("file"),
    ]

    let attempt: JSONValue

    private func text(_ member: String) -> String { attempt[member]?.string ?? "" }

    var key: Cell { .text(text("name")) }

    var json: [String: JSONValue] { attempt.object ?? [:] }

    var cells: [Cell] {
        let process = attempt["pid"]?.integer.map { " (\($0))" } ?? ""
        return [
            .text(text("first"), .dim), .text(text("last"), .dim), .number(attempt["count"]?.integer ?? 1),
            .text(text("operation")), .text(text("command") + process), key,
        ]
    }
}
