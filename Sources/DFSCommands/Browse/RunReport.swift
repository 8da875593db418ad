import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns

/// What `dfs show` says of a run.
struct RunReport: Report {
    static let schema = "dfs.show/1"

    let run: RunRecord
    let facts: RunFacts
    let record: JSONValue
    let host: JSONValue
    let witnesses: WitnessFields
    let notes: [RunNotes.Entry]
    let life: RunLifeFields

    static func make(_ run: RunRecord, _ repository: Repository, now: Timestamp) throws(DFSError) -> RunReport {
        let documents = RunDocuments(repository: repository)
        let record = try documents.record(of: run)
        return RunReport(
            run: run, facts: RunFacts.make(run, repository, now: now), record: record,
            host: try documents.host(of: run),
            witnesses: WitnessFields.make(run, repository, result: record["result"]),
            notes: RunNotes.of(run, repository),
            life: RunLifeFields.make(
                run, repository, record, reason: record["text"]?["allow-secrets"]?.string))
    }

    var json: [String: JSONValue] {
        var members = facts.json
        members["type"] = "run"
        members["record"] = record
        members["host"] = host
        members["environment"] = witnesses.json
        members["annotations"] = life.annotations
        members["notes"] = .array(notes.map(\.json))
        for (name, tree) in trees { if let tree { members[name] = tree.json } }
        return members
    }

    private var trees: [(String, TreeReference?)] {
        (run.end?.trees ?? []).map { ($0.name, $0.tree) } + [("env", run.environment)]
    }

    func print(to output: Output) throws(DFSError) {
        var fields: [(String, Cell)] = [
            ("run", .text("\(run.id)  \(RunName.of(run.id))", .strong)), ("status", .text(facts.status, facts.role)),
            ("started", .text(run.time.description)), ("duration", .text(facts.durationText)),
        ]
        if let end = run.end { fields.append(("ended", .text(end.time.description))) }
        fields += ResultFields.cells(record["result"])
        fields.append(("command", .text(facts.command)))
        for input in run.data {
            let place = facts.text["data-paths"]?[input.key]?.string.map { ", also at \($0)" } ?? ""
            fields.append(
                (
                    "data/\(input.key)",
                    .text("\(input.dataset)@v\(input.version)  \(input.content.digest.short)\(place)")
                ))
        }
        fields.append(("code", .text("code:\(run.project)@\(run.snapshot)")))
        for (number, root) in (record["plan"]?["roots"]?.array ?? []).enumerated() {
            let places = facts.text["root-directories"]?.array ?? []
            let place = places.indices.contains(number) ? places[number].string.map { " at \($0)" } ?? "" : ""
            fields.append(
                ("root", .text("code:\(root["project"]?.string ?? "")@\(root["snapshot"]?.string ?? "")\(place)")))
        }
        fields += GitFields.cells(record["plan"]?["git"])
        if let seed = record["plan"]?["seed"]?.integer { fields.append(("seed", .text(String(seed)))) }
        for (name, tree) in trees where name != "env" {
            guard let tree else { continue }
            fields.append(
                (
                    name,
                    .text(
                        "\(Quantity.count(tree.files, "file")), \(ByteCount(tree.bytes))  run:\(run.id.short)/\(name)")
                ))
        }
        for part in ["outputs", "work"] {
            fields += CaptureFields.cells(record["result"]?[part + "-capture"], of: part)
        }
        fields += witnesses.cells + life.cells
        if !run.tags.isEmpty { fields.append(("tags", .text(run.tags.joined(separator: " "), .accent))) }
        if let note = facts.text["note"]?.string { fields.append(("note", .text(note))) }
        fields += notes.map { ("note", $0.cell) }
        fields += TextFields.cells(.object(facts.text))
        fields += HostFields.cells(host)
        fields += DriftFields.cells(record["plan"]?["drift"])
        fields.append(("entry", .text("\(run.sequence), signed by \(run.key.text)")))
        try output.fields(fields)
    }
}

/// What lists and reports say of a run.
struct RunFacts: Sendable {
    let run: RunRecord
    let status: String
    let text: [String: JSONValue]
    /// From the start to the end, or until now.
    let milliseconds: Int64

    static func make(_ run: RunRecord, _ repository: Repository, now: Timestamp) -> RunFacts {
        let status = RunDocuments(repository: repository).status(of: run)
        let end = run.end?.time ?? now
        let nanoseconds = Int64(end.nanoseconds) - Int64(run.time.nanoseconds)
        return RunFacts(
            run: run, status: status, text: (try? repository.text(run.text)) ?? [:],
            milliseconds: max(0, (end.seconds - run.time.seconds) * 1000 + nanoseconds / 1_000_000))
    }

    /// The command line, quoted for a shell; empty when its text is gone.
    var command: String {
        (text["arguments"]?.array ?? []).compactMap(\.string).map(ShellText.quote).joined(separator: " ")
    }

    var durationText: String { Quantity.duration(milliseconds: milliseconds) }

    var role: Style.Role {
        switch status {
        case "succeeded": .good
        case "failed": .bad
        case "running": .accent
        default: .warning
        }
    }

    var json: [String: JSONValue] {
        var members: [String: JSONValue] = [
            "run": .string(run.id.description), "name": .string(RunName.of(run.id)), "status": .string(status),
            "started": .string(run.time.description), "milliseconds": .integer(milliseconds),
            "project": .string(run.project), "snapshot": .string(run.snapshot), "key": .string(run.key.text),
            "tags": .array(run.tags.map { .string($0) }), "command": text["arguments"] ?? .null,
            "data": .array(
                run.data.map { input in
                    [
                        "key": .string(input.key), "dataset": .string(input.dataset),
                        "version": .integer(Int64(input.version)), "content": .string(input.content.digest.text),
                    ]
                }),
        ]
        if let end = run.end { members["finished"] = .string(end.time.description) }
        return members
    }
}
