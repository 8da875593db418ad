import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore

/// `dfs show`: all that is known of one thing.
struct Show: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show all that is known of a version, a snapshot, a file or a run.")

    @Argument(help: "A reference or a run.") var subject: String
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        context.closeDeadRuns(repository)
        let resolver = try context.resolver(repository)
        if let run = try context.run(named: subject, resolver) {
            try context.output.report(try RunReport.make(run, repository, now: context.clock()))
            return .done
        }
        if let removed = try removed(resolver, context) {
            try context.output.report(removed)
            return .done
        }
        let target = try context.resolve(subject, resolver)
        if target.reference.path.isEmpty {
            switch target.resolved.subject {
            case .version(let dataset, let version):
                let known = resolver.state.datasets[dataset]
                try context.output.report(try VersionReport.make(dataset, version, known?.tags ?? [:], repository))
                return .done
            case .snapshot(let project, let snapshot):
                try context.output.report(try SnapshotReport.make(project, snapshot, repository))
                return .done
            case .run: break
            }
        }
        try context.output.report(
            EntryReport(
                reference: target.resolved.text,
                facts: EntryFacts(path: target.resolved.entry.name, entry: target.resolved.entry)))
        return .done
    }
}

extension Show {
    /// What is known of a version that was taken out.
    private func removed(_ resolver: Resolver, _ context: CommandContext) throws(DFSError) -> RemovedVersionReport? {
        guard case .dataset(let name, let selector, let path) = try context.reference(subject, resolver.state),
            path.isEmpty, let dataset = resolver.state.datasets[name]
        else { return nil }
        // Of a dataset without versions the last one answers.
        let last = dataset.standingCount == 0 && selector == .latest ? dataset.version(dataset.lastNumber) : nil
        guard let version = last ?? (try? resolver.anyVersion(name, selector)),
            let removal = dataset.removal(of: version.number)
        else { return nil }
        let text: JSONValue = read("text") { () throws(DFSError) in
            .object(try resolver.repository.text(removal.text))
        }
        return RemovedVersionReport(
            dataset: name, version: version, removal: removal, text: text,
            isRead: resolver.state.isRead(version.number, of: name))
    }
}

/// What a record says, or why it cannot be said.
private func read(_ what: String, _ body: () throws(DFSError) -> JSONValue) -> JSONValue {
    do { return try body() } catch { return ["unavailable": .string(error.what)] }
}

struct VersionReport: Report {
    static let schema = "dfs.show/1"

    let dataset: String
    let version: VersionRecord
    let tags: [String]
    let text: JSONValue
    let record: JSONValue
    let packs: Int?

    static func make(
        _ dataset: String, _ version: VersionRecord, _ tags: [String: Int], _ repository: Repository
    ) throws(DFSError) -> VersionReport {
        VersionReport(
            dataset: dataset, version: version,
            tags: tags.filter { $0.value == version.number }.keys.sorted(),
            text: read("text") { () throws(DFSError) in .object(try repository.text(version.text)) },
            record: read("record") { () throws(DFSError) in
                try repository.objects.json(version.record.record, what: "the record")
            },
            packs: try? repository.packs(of: version.record, in: try repository.state()).count)
    }

    var json: [String: JSONValue] {
        [
            "type": "version", "dataset": .string(dataset), "version": .integer(Int64(version.number)),
            "tree": version.tree.json, "content": .string(version.content.digest.text),
            "time": .string(version.time.description), "entry": .integer(Int64(clamping: version.sequence)),
            "key": .string(version.key.text), "tags": .array(tags.map { .string($0) }), "text": text, "record": record,
            "recordAddress": .string(version.record.record.digest.text),
            "packs": packs.map { .integer(Int64($0)) } ?? .null,
        ]
    }

    func print(to output: Output) throws(DFSError) {
        var fields: [(String, Cell)] = [
            ("version", .text("\(dataset)@v\(version.number)", .strong)),
            ("content", .text(version.content.digest.text)),
            ("files", .number(version.tree.files)),
            ("size", .text("\(ByteCount(version.tree.bytes)) (\(Quantity.number(version.tree.bytes)) bytes)")),
            ("recorded", .text(version.time.description)),
        ]
        fields += TextFields.cells(text)
        if !tags.isEmpty { fields.append(("tags", .text(tags.joined(separator: " "), .accent))) }
        for (name, value) in (record["metadata"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
            fields.append(("meta \(name)", .text(value.string ?? value.canonicalText)))
        }
        if let lineage = record["lineage"]?["reference"]?.string { fields.append(("made from", .text(lineage))) }
        fields += CaptureFields.cells(record["capture"])
        fields += [
            ("entry", .text("\(version.sequence), signed by \(version.key.text)")),
            ("tree", .text(version.tree.tree.digest.text, .dim)),
            ("record", .text(version.record.record.digest.text, .dim)),
        ]
        if let packs { fields.append(("packs", .number(packs))) }
        try output.fields(fields)
    }
}

struct SnapshotReport: Report {
    static let schema = "dfs.show/1"

    let project: String
    let snapshot: SnapshotRecord
    let record: JSONValue

    static func make(
        _ project: String, _ snapshot: SnapshotRecord, _ repository: Repository
    ) throws(DFSError) -> SnapshotReport {
        SnapshotReport(
            project: project, snapshot: snapshot,
            record: read("record") { () throws(DFSError) in
                try repository.objects.json(snapshot.record.record, what: "the record")
            })
    }

    var json: [String: JSONValue] {
        [
            "type": "snapshot", "project": .string(project), "snapshot": .string(snapshot.id),
            "tree": snapshot.tree.json, "content": .string(snapshot.content.digest.text),
            "time": .string(snapshot.time.description), "entry": .integer(Int64(clamping: snapshot.sequence)),
            "key": .string(snapshot.key.text), "record": record,
        ]
    }

    func print(to output: Output) throws(DFSError) {
        var fields: [(String, Cell)] = [
            ("snapshot", .text("code:\(project)@\(snapshot.id)", .strong)),
            ("content", .text(snapshot.content.digest.text)), ("files", .number(snapshot.tree.files)),
            ("size", .size(snapshot.tree.bytes)), ("recorded", .text(snapshot.time.description)),
        ]
        fields += GitFields.cells(record["git"])
        fields += CaptureFields.cells(record["capture"])
        for left in record["left-out"]?.array ?? [] {
            let size = left["size"]?.integer.map { ", \(ByteCount(UInt64(clamping: $0)))" } ?? ""
            fields.append(("left out", .text("\(left["path"]?.string ?? "") (\(left["reason"]?.string ?? "")\(size))")))
        }
        fields.append(("entry", .text("\(snapshot.sequence), signed by \(snapshot.key.text)")))
        try output.fields(fields)
    }
}

struct EntryReport: Report {
    static let schema = "dfs.show/1"

    let reference: String
    let facts: EntryFacts

    var json: [String: JSONValue] {
        var members = facts.json
        members["reference"] = .string(reference)
        if let address = facts.entry.address { members["address"] = .string(address.digest.text) }
        return members
    }

    func print(to output: Output) throws(DFSError) {
        let entry = facts.entry
        var fields: [(String, Cell)] = [
            (entry.kindName, .text(reference, .strong)), ("content", .text(entry.content.digest.text)),
            ("size", .text("\(ByteCount(entry.size)) (\(Quantity.number(entry.size)) bytes)")),
            ("mode", .text("\(entry.modeText)  \(entry.permissionText)")),
            ("modified", .text(entry.modified.description)),
        ]
        if entry.kind == .directory { fields.append(("files", .number(entry.files))) }
        if entry.kind == .symlink { fields.append(("target", .name(entry.target))) }
        if let address = entry.address {
            fields.append((entry.kind == .directory ? "tree" : "recipe", .text(address.digest.text, .dim)))
        }
        try output.fields(fields)
    }
}

/// The texts of an entry as fields.
enum TextFields {
    static func cells(_ text: JSONValue) -> [(String, Cell)] {
        var fields = [(String, Cell)]()
        if let reason = text["unavailable"]?.string { fields.append(("texts", .text(reason, .warning))) }
        if let message = text["message"]?.string { fields.append(("message", .text(message))) }
        if let user = text["user"]?.string {
            fields.append(("by", .text(user + (text["host"]?.string.map { " on \($0)" } ?? ""))))
        }
        if let source = text["source"]?.string { fields.append(("source", .text(source))) }
        return fields
    }
}

/// What a capture left out, as fields.
enum CaptureFields {
    /// `part`: of a run, `outputs` or `work`.
    static func cells(_ capture: JSONValue?, of part: String? = nil) -> [(String, Cell)] {
        var fields = [(String, Cell)]()
        let prefix = part.map { $0 + " " } ?? ""
        if let count = count("ignored", capture) { fields.append((prefix + "ignored", .number(count))) }
        for (member, label) in [("special", "special files left out"), ("too-large", "too large")] {
            guard let count = count(member, capture) else { continue }
            let names = names(member, capture).prefix(5).joined(separator: ", ")
            fields.append((prefix + label, .text("\(Quantity.number(count)): \(names)" + (count > 5 ? ", …" : ""))))
        }
        for (name, count) in (capture?["dropped"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
            if let count = count.integer, count > 0 {
                fields.append((prefix + "not kept", .text("\(name) of \(Quantity.count(count, "file"))")))
            }
        }
        return fields
    }

    /// `nil` where there are none.
    static func count(_ member: String, _ capture: JSONValue?) -> Int64? {
        capture?[member]?["count"]?.integer.flatMap { $0 > 0 ? $0 : nil }
    }

    private static func names(_ member: String, _ capture: JSONValue?) -> [String] {
        let files = capture?[member]?["files"]?.array ?? []
        return (capture?[member]?["paths"]?.array ?? []).compactMap(\.string)
            + files.compactMap { file in
                file["path"]?.string.map { path in
                    path + (file["size"]?.integer.map { " (\(ByteCount(UInt64(clamping: $0))))" } ?? "")
                }
            }
    }
}
