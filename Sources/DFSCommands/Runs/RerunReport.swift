import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns

/// What `dfs rerun --report` says: what a rerun here would be, and how it would differ.
struct RerunReport: Report {
    static let schema = "dfs.rerun/1"

    let run: RunID
    let command: [String]
    /// `code:PROJECT@SNAPSHOT`, and where it stands.
    let code: String
    let data: [String]
    let seed: UInt32?
    let mounts: FrozenMounts?
    let drift: DriftReport
    /// Variables that are not as they were.
    let variables: [(name: String, kind: EnvironmentRecord.Difference)]

    init(
        _ run: RunID, _ request: LaunchRequest, _ drift: DriftReport,
        _ variables: [(name: String, kind: EnvironmentRecord.Difference)]
    ) {
        self.run = run
        (command, data, seed, mounts) = (request.command, request.data, request.seed, request.environmentMounts)
        if case .snapshot(let it) = request.code {
            code = "code:\(it.project)@\(it.snapshot.id)  at \(it.root)"
        } else {
            code = ""
        }
        self.drift = drift
        self.variables = variables
    }

    /// A rerun that nothing here tells from the run.
    var isSame: Bool {
        drift.driftClass == .identical && mounts == nil
            && variables.allSatisfy { $0.kind == .unknown }
    }

    var json: [String: JSONValue] {
        [
            "run": .string(run.description), "same": .bool(isSame), "host": .object(drift.json()),
            "data": .array(data.map { .string($0) }),
            "environment-mounts": mounts?.json ?? .null,
            "variables": .array(
                variables.map { ["name": .string($0.name), "difference": .string($0.kind.rawValue)] }),
        ]
    }

    func print(to output: Output) throws(DFSError) {
        var fields: [(String, Cell)] = [
            ("command", .text(command.map(ShellText.quote).joined(separator: " "))), ("code", .text(code)),
        ]
        fields += data.map { ("data", .text($0)) }
        if let seed { fields.append(("seed", .text(String(seed)))) }
        fields.append(
            ("environment", .text(mounts?.words ?? "as this machine has it, where that is the same"))
        )
        fields += variables.map { ("variable", .text("\($0.name): \($0.kind.rawValue)")) }
        try output.fields(fields)
        try output.line()
        try DriftOutput(report: drift, then: "run:\(run.short)", now: "this machine").print(to: output)
    }
}
