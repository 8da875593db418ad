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
    let roots: [RecordedCode]
    let environment: RecordedEnvironment
    private let repository: Repository

    init(_ run: RunRecord, _ repository: Repository, _ state: LedgerState) throws(DFSError) {
        guard run.end != nil else {
            throw DFSError(
                .refused, "run \(run.id.short) has not ended", cause: "what it is, is not known before",
                hint: "dfs logs -f \(run.id.short)")
        }
        self.run = run
        self.repository = repository
        plan = try repository.objects.json(run.record.record, what: "the plan of run \(run.id)")
        text = try repository.text(run.text)
        guard let root = text["project-directory"]?.string else {
            throw Self.incomplete(run, "its record does not say where its code stood")
        }
        code = try Self.code(run.project, run.snapshot, at: root, plan["git"], run, repository, state)
        let places = (text["root-directories"]?.array ?? []).compactMap(\.string)
        let recorded = plan["roots"]?.array ?? []
        guard places.count == recorded.count else { throw Self.incomplete(run, "where its roots stood was removed") }
        var roots = [RecordedCode]()
        for (place, root) in zip(places, recorded) {
            roots.append(
                try Self.code(
                    root["project"]?.string ?? "", root["snapshot"]?.string ?? "", at: place, root["git"], run,
                    repository, state))
        }
        self.roots = roots
        environment = RecordedEnvironment(run.id.short, plan, text, repository)
    }

    private static func code(
        _ project: String, _ snapshot: String, at root: String, _ git: JSONValue?, _ run: RunRecord,
        _ repository: Repository, _ state: LedgerState
    ) throws(DFSError) -> RecordedCode {
        guard let snapshot = state.projects[project]?.snapshot(snapshot) else {
            throw incomplete(run, "there is no snapshot \(snapshot) of \(project)")
        }
        let record = try repository.objects.json(snapshot.record.record, what: "the record of \(snapshot.id)")
        return RecordedCode(
            project: project, snapshot: snapshot, root: root, git: git ?? record["git"] ?? .null,
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
            if let secrets = plan["secrets"]?["arguments"]?.array, !secrets.isEmpty {
                throw Self.incomplete(run, "its arguments held secrets, which are not recorded")
            }
            guard !words.isEmpty else { throw Self.incomplete(run, "its arguments are not recorded, or were removed") }
            return words.map { ArgumentText.text(of: NameText.decode($0) ?? Array($0.utf8)) }
        }
    }

    /// The same again, but for `changes`, in the environment of `context`. Without `comparesMachine` it is only looked whether
    /// it can be: what this machine lacks of the run's environment is not asked.
    func request(
        _ changes: Changes, _ context: CommandContext, comparesMachine: Bool = true
    ) throws(DFSError) -> LaunchRequest {
        var own = context.environment
        own.directory = text["directory"]?.string ?? code.root
        own.variables = try environment.applying(changes.environment, to: own.variables)
        try environment.check(own.variables, given: changes.environment, ignored: changes.ignored)
        var request = LaunchRequest(command: try command, environment: own)
        request.recordedVariables = environment.named
        request.roots = roots
        let code = changes.code.map { self.code.replaced(by: $0) } ?? self.code
        request.data = try data(changes.data)
        request.code = .snapshot(code)
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
        if comparesMachine { try putBack(&request, code, context) }
        return request
    }

    /// Looks where this machine has another environment, and has the run's mounted there.
    private func putBack(
        _ request: inout LaunchRequest, _ code: RecordedCode, _ context: CommandContext
    ) throws(DFSError) {
        request.importedMounts = try ImportedMounts(of: run, repository)
        if let imported = request.importedMounts { context.output.say(imported.words) }
        let bounds = EnvironmentBounds(
            roots: ([code] + roots).map { .init($0.survey) },
            data: (text["data-paths"]?.object ?? [:]).values.compactMap(\.string), home: context.environment.home)
        request.environmentMounts = try FrozenMounts(of: run, within: bounds, repository, threads: context.jobs) {
            context.output.say($0)
        }
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
