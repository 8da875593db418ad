import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel
import DFSSystem

/// `dfs audit log`: every entry of the ledger, oldest first.
struct AuditLog: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Show every entry of the ledger, oldest first.")

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        let head = try repository.state().head.sequence
        let list = context.output.list(of: EntryLine.self)
        for sequence in 1...max(1, head) {
            guard let entry = try repository.ledger.entry(sequence) else { break }
            try list.add(EntryLine(entry: entry))
        }
        try list.finish()
        return .done
    }
}

private struct EntryLine: Row {
    static let schema = "dfs.audit-log/1"
    static let columns = [Column("entry", .right), Column("time"), Column("key"), Column("events")]

    let entry: LedgerEntry

    var json: [String: JSONValue] {
        [
            "entry": .integer(Int64(clamping: entry.sequence)), "time": .string(entry.time.description),
            "key": .string(entry.key.text), "digest": .string(entry.digest.text),
            "previous": .string(entry.previous.text), "events": .array(entry.events),
            "clock": [
                "host": .string(entry.clock.host.description), "store": .string(entry.clock.store.description),
                "synchronised": .string(entry.clock.synchronised.rawValue),
            ],
        ]
    }

    var cells: [Cell] {
        [
            .number(entry.sequence), .time(entry.time), .text(entry.key.short, .dim),
            .text(entry.events.map(Self.sentence).joined(separator: "; ")),
        ]
    }

    private static func sentence(_ event: JSONValue) -> String {
        let kind = event["kind"]?.string ?? "?"
        let names = ["dataset", "tag", "project", "snapshot", "run", "state"].compactMap { event[$0]?.string }
        let version = event["version"]?.integer.map { ["v\($0)"] } ?? []
        let key = kind.hasPrefix("key.") ? [event["key"]?.string ?? ""] : []
        return ([kind] + names + version + key).joined(separator: " ")
    }
}
