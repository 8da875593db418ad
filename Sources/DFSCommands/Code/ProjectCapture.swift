import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore
import DFSSystem

/// Takes the code of a project directory into the store: asks git what belongs to it, stops at secrets, stores what changed.
struct ProjectCapture {
    let context: CommandContext
    let repository: Repository
    /// Of the directory that is captured.
    let project: ProjectFile?
    /// Why secrets may pass.
    let allowSecrets: String?
    /// The command that lets them pass.
    let hint: String

    static let runHint =
        "end the line with a comment dfs:allow-secret, ignore the file, or: dfs-run --allow-secrets REASON …"

    // MARK: What belongs to it

    /// Looks at the project that `start` lies in.
    func survey(from start: String) throws(DFSError) -> CodeSurvey {
        let places = try OwnPlaces(context, repository)
        var options = CodeSurvey.Options(environment: context.environment.variables)
        if let limit = project?.run.maximumFile?.value { options.maximumFileSize = limit }
        options.withheld = places.reasons
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

    /// What `dfs.toml` says, or the directory's name as far as it can be a project's.
    func name(of root: String) -> String {
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

    // MARK: Taking it in

    /// `mounted` are places inside the project where a run's data appears, slash-joined.
    func capture(
        _ survey: CodeSurvey, mounted: Set<[UInt8]> = [], after state: LedgerState
    ) throws(DFSError) -> CapturedCode {
        let name = name(of: survey.root)
        let previous = state.projects[name]?.latest
        let writer = StoreWriter(store: repository.objects)
        let cache = try repository.statCache(scope: "code/" + name, latest: previous?.record, in: state)
        let inspector = SecretInspector(
            waivers: SecretWaivers(reason: allowSecrets, patterns: project?.run.allowSecrets ?? []), hint: hint)
        let filter = CodeFilter(exclusions: survey.exclusions, mounted: mounted)
        let result = try context.progress.track("code of \(name)") { activity throws(DFSError) in
            try Capture(
                root: survey.root, writer: writer, reader: repository.reader, cache: cache,
                previous: previous.map { TreeEntry.root($0.tree, modified: $0.time) },
                options: CaptureOptions(
                    threads: context.jobs, filter: filter, skipSpecial: true, inspector: inspector)
            ).run()
        }
        let id = String(result.summary.content.digest.hex.prefix(16))
        let known = state.projects[name]?.snapshot(id)
        return CapturedCode(
            survey: survey, git: survey.facts.json, project: name, tree: known?.tree ?? result.summary, snapshot: id,
            isNew: known == nil, notes: result.notes, cache: cache, updates: result.updates, writer: writer,
            previous: previous, waived: inspector.waived)
    }

    // MARK: Recording it alone

    /// Captures, and records the snapshot where it is new.
    func record(from start: String, by signer: any Signer) throws(DFSError) -> CapturedCode {
        let survey = try survey(from: start)
        return try repository.storingAgain("code of \(name(of: survey.root))") { state throws(DFSError) in
            try attempt(survey, state, signer)
        }
    }

    /// `nil` when packs that the snapshot would have relied on were condemned meanwhile.
    private func attempt(
        _ survey: CodeSurvey, _ state: LedgerState, _ signer: any Signer
    ) throws(DFSError) -> CapturedCode? {
        let code = try capture(survey, after: state)
        guard code.isNew else {
            code.writer.abandon()
            code.remember(in: state)
            return code
        }
        let record: ObjectAddress
        let finished: StoreWriter.Finished
        do throws(DFSError) {
            record = try code.writer.putHere(code.record(reason: allowSecrets))
            finished = try code.writer.finish(base: code.base)
        } catch {
            code.writer.abandon()
            throw error
        }
        let reliance = Reliance(finished, events: code.reliedOn, began: state)
        let recording = try repository.record(by: signer, relyingOn: reliance) { state throws(DFSError) in
            // Somebody else was faster with the same content.
            if state.projects[code.project]?.snapshot(code.snapshot) != nil { return nil }
            return [
                .codeCaptured(
                    .init(
                        project: code.project, snapshot: code.snapshot, tree: code.tree,
                        record: RecordReference(record: record, packs: finished.packs, pack: finished.pack)))
            ]
        }
        switch recording {
        case .entry: repository.remember(finished)
        case .nothing: code.writer.abandon()
        case .condemned:
            code.writer.abandon()
            return nil
        }
        code.remember(in: try repository.state())
        return code
    }
}
