import DFSHistory
import DFSLedger
import DFSModel
import DFSStore

/// What is shown of a run: put together from its entries, records and texts.
package struct RunDocuments: Sendable {
    private let repository: Repository

    package init(repository: Repository) { self.repository = repository }

    /// `running`, `succeeded`, `failed` or `interrupted`. A run whose launcher died is interrupted before its record says so.
    package func status(of run: RunRecord) -> String {
        if let outcome = run.outcome { return outcome.rawValue }
        return RunReaper(repository: repository).standing(of: run.id) == .dead ? "interrupted" : "running"
    }

    /// The plan, the result and the texts, as one JSON object. A text that is gone is said to be.
    package func record(of run: RunRecord) throws(DFSError) -> JSONValue {
        var out: [String: JSONValue] = [
            "schema": "dfs.record/1", "run": .string(run.id.description), "name": .string(RunName.of(run.id)),
            "status": .string(status(of: run)), "started": .string(run.time.description),
            "key": .string(run.key.text), "entry": .integer(Int64(run.sequence)),
            "tags": .array(run.tags.map { .string($0) }),
            "plan": try repository.objects.json(run.record.record, what: "the plan of run \(run.id)"),
            "project": .string(run.project), "snapshot": .string(run.snapshot),
            "data": .array(
                run.data.map { input in
                    [
                        "key": .string(input.key), "dataset": .string(input.dataset),
                        "version": .integer(Int64(input.version)), "content": .string(input.content.digest.text),
                    ]
                }),
        ]
        do { out["text"] = .object(try repository.text(run.text)) } catch {
            out["text"] = ["unavailable": .string(error.what)]
        }
        if let end = run.end {
            out["finished"] = .string(end.time.description)
            out["result"] = try repository.objects.json(end.record.record, what: "the result of run \(run.id)")
        }
        return .object(out)
    }

    /// The host's record, with its personal part where that is still there.
    package func host(of run: RunRecord) throws(DFSError) -> JSONValue {
        let plan = try repository.objects.json(run.record.record, what: "the plan of run \(run.id)")
        var host: [String: JSONValue] = [:]
        for part in ["stable", "job", "volatile"] {
            guard let address = plan["host"]?[part]?.digest else { continue }
            let object = try repository.objects.json(ObjectAddress(address), what: "the host record of run \(run.id)")
            host[part] = object["facts"] ?? .null
        }
        if let identity = try? repository.text(run.text)["identity"] { host["identity"] = identity }
        host["format"] = "dfs.host/1"
        return .object(host)
    }
}
