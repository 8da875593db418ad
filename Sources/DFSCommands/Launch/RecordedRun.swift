import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore

/// A run as its record has it, ready to be launched again.
struct RecordedRun {
    /// What is not to be as it was. Each changes one thing and leaves the others.
    struct Changes {
        /// `KEY=REF` for each key that gets other data.
        var data: [String] = []
        var code: RecordedCode?
        var seed: UInt32?
        /// `NAME=VALUE`, or `NAME` for the recorded value.
        var environment: [String] = []
        /// Names of variables that may differ.
        var ignored: [String] = []
    }

    let run: RunRecord
    let plan: JSONValue
    let text: [String: JSONValue]
    let code: RecordedCode

    init(_ run: RunRecord, _ repository: Repository, _ state: LedgerState) throws(DFSError) {
        self.run = run
        plan = try repository.objects.json(run.record.record, what: "the plan of run \(run.id)")
        text = try repository.text(run.text)
        guard let root = text["project-directory"]?.string,
            let snapshot = state.projects[run.project]?.snapshot(run.snapshot)
        else { throw Self.incomplete(run, "its record does not say where its code stood") }
        let record = try repository.objects.json(snapshot.record.record, what: "the record of \(run.snapshot)")
        code = RecordedCode(
            project: run.project, snapshot: snapshot, root: root, git: plan["git"] ?? .null,
            excluded: RecordedCode.excluded(record))
    }

    private static func incomplete(_ run: RunRecord, _ cause: String) -> DFSError {
        DFSError(
            .refused, "run \(run.id.short) cannot be repeated", cause: cause, hint: "dfs show run:\(run.id.short)")
    }

    /// The command line as it was given.
    var command: [String] {
        get throws(DFSError) {
            let words = (text["arguments"]?.array ?? []).compactMap(\.string)
            guard !words.isEmpty else { throw Self.incomplete(run, "its arguments are not recorded, or were removed") }
            return words.map { ArgumentText.text(of: NameText.decode($0) ?? Array($0.utf8)) }
        }
    }

    /// The same again, but for `changes`, in the environment of `context`.
    func request(_ changes: Changes, _ context: CommandContext) throws(DFSError) -> LaunchRequest {
        var environment = context.environment
        environment.directory = text["directory"]?.string ?? code.root
        var request = LaunchRequest(command: try command, environment: environment)
        request.data = try data(changes.data)
        request.code = .snapshot(changes.code.map { code.replaced(by: $0) } ?? code)
        request.inPlace = plan["in-place"]?.bool ?? false
        request.strict = plan["strict"]?.bool ?? false
        request.expands = plan["expands"]?.bool ?? true
        request.seed = changes.seed ?? (plan["seed"]?.integer).flatMap { UInt32(exactly: $0) }
        request.maximumFile = (plan["maximum-file"]?.integer).flatMap { UInt64(exactly: $0) }
        request.deny = (plan["deny"]?.array ?? []).compactMap(\.string)
        request.recordsAccess = plan["access"]?.bool ?? true
        request.like = run.id.description
        request.repeats = run.id
        if request.inPlace, changes.code != nil {
            throw DFSError(
                .usage, "run \(run.id.short) ran in its directory",
                cause: "there it sees what stands there, no other code",
                hint: "dfs rerun \(run.id.short)")
        }
        return request
    }

    /// `--data` arguments for what the run read, each at the place where it was.
    private func data(_ changes: [String]) throws(DFSError) -> [String] {
        var references = [String: String]()
        for change in changes {
            guard let equals = change.firstIndex(of: "="), equals != change.startIndex else {
                throw DFSError(
                    .usage, "--data \(change) cannot be used", cause: "it takes a key of the run and a reference",
                    hint: "dfs rerun \(run.id.short) --data KEY=REF")
            }
            let key = String(change[..<equals])
            guard run.data.contains(where: { $0.key == key }) else {
                throw DFSError(
                    .noReference, "run \(run.id.short) has no data \(key)",
                    cause: run.data.isEmpty
                        ? "it read no data" : "its keys: \(run.data.map(\.key).joined(separator: ", "))",
                    hint: "dfs show run:\(run.id.short)")
            }
            references[key] = String(change[change.index(after: equals)...])
        }
        return run.data.map { input in
            let place = text["data-paths"]?[input.key]?.string ?? input.key
            return place + "=" + (references[input.key] ?? "\(input.dataset)@v\(input.version)")
        }
    }
}
