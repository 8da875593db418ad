import DFSHistory
import DFSLedger
import DFSModel
import DFSStore

/// What is read of one run to compare it.
package struct RunSide: Sendable {
    package let run: RunRecord
    package let status: String
    /// The plan and the result, as recorded; `null` where there is none or it cannot be read.
    package let plan, result: JSONValue
    package let text: [String: JSONValue]
    package let host: JSONValue?
    package let metrics: RunMetrics
    /// What could not be read, and why.
    package let problems: [String]

    package init(_ run: RunRecord, _ repository: Repository) {
        self.run = run
        let documents = RunDocuments(repository: repository)
        status = documents.status(of: run)
        var problems = [String]()
        func read<Value>(_ body: () throws(DFSError) -> Value) -> Value? {
            do { return try body() } catch {
                problems.append(error.what)
                return nil
            }
        }
        plan = read { () throws(DFSError) in try repository.objects.json(run.record.record, what: "the plan") } ?? .null
        result =
            run.end.flatMap { end in
                read { () throws(DFSError) in try repository.objects.json(end.record.record, what: "the result") }
            } ?? .null
        text = read { () throws(DFSError) in try repository.text(run.text) } ?? [:]
        host = plan["host"] == nil ? nil : read { () throws(DFSError) in try documents.host(of: run) }
        metrics = read { () throws(DFSError) in try RunMetrics.of(run, repository) } ?? RunMetrics()
        self.problems = problems
    }

    package var arguments: JSONValue? { text["arguments"] }
    package var seed: Int64? { plan["seed"]?.integer }
    package var exit: Int64? { result["exit"]?.integer }

    /// From the start to the end; `nil` of a run in progress.
    package var milliseconds: Int64? {
        guard let end = run.end?.time else { return nil }
        let nanoseconds = Int64(end.nanoseconds) - Int64(run.time.nanoseconds)
        return max(0, (end.seconds - run.time.seconds) * 1000 + nanoseconds / 1_000_000)
    }

    /// User and system time of the job.
    package var processorMilliseconds: Int64? {
        guard let user = result["child"]?["userMicroseconds"]?.integer,
            let system = result["child"]?["systemMicroseconds"]?.integer
        else { return nil }
        return (user + system) / 1000
    }
}
