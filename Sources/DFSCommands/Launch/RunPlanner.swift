import DFSChunking
import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore
import DFSSystem
import Dispatch
import Synchronization

/// Resolves data, captures the code, looks at the host: all before anything starts.
struct RunPlanner {
    let context: CommandContext
    let repository: Repository
    let project: ProjectFile?
    let request: LaunchRequest
    let run: RunID

    private static let maximumWorkFile: UInt64 = 4 << 30

    func plan() throws(DFSError) -> RunPlan {
        let resolver = try context.resolver(repository)
        let inputs = try DataInput.resolve(request.data, resolver) { path throws(DFSError) in
            try request.environment.absolute(path)
        }
        for resolution in inputs.compactMap(\.resolution) { context.output.say(resolution) }
        if request.expands { try Placeholders.check(request.command, keys: inputs.map(\.key)) }
        let hostRecord = BackgroundHost(try hostRequest())
        let check = try DriftCheck(request, context, resolver)
        var drift: DriftCheck.Finding?
        let code = try code(inputs, resolver.state) { project throws(DFSError) in
            drift = try check?.run(project: project, host: hostRecord.wait())
        }
        return RunPlan(
            run: run, began: resolver.state, inputs: inputs, survey: code.survey, git: code.git, project: code.project,
            code: code.tree, snapshot: code.snapshot, isNewSnapshot: code.isNew, codeNotes: code.notes,
            codeCache: code.cache, codeUpdates: code.updates, codeWriter: code.writer, previousSnapshot: code.previous,
            host: hostRecord.wait(), drift: drift,
            capabilities: Capabilities.probe(
                scratch: repository.root + "/tmp", path: context.environment["PATH"] ?? "/usr/bin:/bin"),
            seed: request.seed ?? UInt32.random(in: 0...UInt32.max), request: request,
            maximumFileSize: request.maximumFile ?? project?.run.maximumFile?.value ?? Self.maximumWorkFile)
    }

    // MARK: Code

    private struct PlannedCode {
        let survey: CodeSurvey
        let git: JSONValue
        let project: String
        let tree: TreeReference
        let snapshot: String
        let isNew: Bool
        var notes = CaptureNotes()
        var cache: StatCache?
        var updates = [StatCache.Update]()
        let writer: StoreWriter
        let previous: SnapshotRecord?
    }

    /// `decide` is called with the project's name before anything is stored, and may refuse the run.
    private func code(
        _ inputs: [DataInput], _ state: LedgerState, decide: (String) throws(DFSError) -> Void
    ) throws(DFSError) -> PlannedCode {
        let writer = StoreWriter(store: repository.objects)
        if case .snapshot(let code) = request.code {
            try decide(code.project)
            return PlannedCode(
                survey: code.survey, git: code.git, project: code.project, tree: code.snapshot.tree,
                snapshot: code.snapshot.id, isNew: false, writer: writer, previous: nil)
        }
        let survey = try survey()
        let name = projectName(survey.root)
        try decide(name)
        let previous = state.projects[name]?.latest
        let cache = try repository.statCache(scope: "code/" + name, latest: previous?.record, in: state)
        let capture = try capture(survey, name, inputs, previous, cache, writer)
        let id = String(capture.summary.content.digest.hex.prefix(16))
        let known = state.projects[name]?.snapshot(id)
        return PlannedCode(
            survey: survey, git: survey.facts.json, project: name, tree: known?.tree ?? capture.summary, snapshot: id,
            isNew: known == nil, notes: capture.notes, cache: cache, updates: capture.updates, writer: writer,
            previous: previous)
    }

    private func survey() throws(DFSError) -> CodeSurvey {
        let places = try OwnPlaces(context, repository)
        var options = CodeSurvey.Options(environment: context.environment.variables)
        if let limit = project?.run.maximumFile?.value { options.maximumFileSize = limit }
        options.withheld = places.reasons
        let start = try request.environment.workingDirectory
        func look(_ root: String) throws(DFSError) -> CodeSurvey {
            // Before the walk: it would go through all of the machine.
            let top = CodeSurvey.workTree(of: root)
            try places.checkProject(top ?? root, isRepository: top != nil, home: context.environment.home)
            return try CodeSurvey.survey(root: root, options: options)
        }
        if CodeSurvey.workTree(of: start) == nil { return try look(project?.directory ?? start) }
        let survey = try look(start)
        guard survey.facts.repository == nil, let project else { return survey }
        return try look(project.directory)
    }

    private func projectName(_ root: String) -> String {
        if let name = project?.projectName, ProjectName.problem(name) == nil { return name }
        let base = root.split(separator: "/").last.map(String.init) ?? "root"
        let cleaned = String(
            decoding: base.utf8.map { byte -> UInt8 in
                let good =
                    (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                    || byte == 0x2d || byte == 0x2e || byte == 0x5f
                return good ? byte : UInt8(ascii: "-")
            }.prefix(60), as: UTF8.self)
        return ProjectName.problem(cleaned) == nil
            ? cleaned : "project-" + cleaned.drop { !$0.isLetter && !$0.isNumber }
    }

    private func capture(
        _ survey: CodeSurvey, _ name: String, _ inputs: [DataInput], _ previous: SnapshotRecord?,
        _ cache: StatCache, _ writer: StoreWriter
    ) throws(DFSError) -> CaptureResult {
        let prefix = survey.root + "/"
        let mounted = inputs.compactMap { input -> [UInt8]? in
            guard let path = input.path, path.hasPrefix(prefix) else { return nil }
            return Array(path.dropFirst(prefix.count).utf8)
        }
        let filter = CodeFilter(exclusions: survey.exclusions, mounted: Set(mounted))
        return try context.progress.track("code of \(name)") { activity throws(DFSError) in
            try Capture(
                root: survey.root, writer: writer, reader: repository.reader, cache: cache,
                previous: previous.map { TreeEntry.root($0.tree, modified: $0.time) },
                options: CaptureOptions(threads: context.jobs, filter: filter, skipSpecial: true)
            ).run()
        }
    }

    // MARK: Host

    private func hostRequest() throws(DFSError) -> HostRequest {
        HostRequest(
            arguments: request.command, environment: request.environment.variables,
            workingDirectory: try request.environment.workingDirectory, home: context.environment.home,
            cacheDirectory: (try? context.directories.cache()).map { $0 + "/host" },
            gpuHelper: [ServerProcess.executable, "__nvml"], hash: { Digest.of($0) })
    }
}

/// The host's record, taken on a thread of its own.
private final class BackgroundHost: Sendable {
    private let result = Mutex<HostRecord?>(nil)
    private let group = DispatchGroup()

    init(_ request: HostRequest) {
        DispatchQueue.global().async(group: group) { [self] in
            let record = HostFacts.capture(request)
            result.withLock { $0 = record }
        }
    }

    func wait() -> HostRecord {
        group.wait()
        let nothing = HostRecord(
            identity: .null, stable: .null, job: .null, volatile: ["unknown": "the capture did not end"])
        return result.withLock { $0 } ?? nothing
    }
}
