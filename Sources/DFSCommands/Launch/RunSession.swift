import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore
import DFSSystem
import DFSVirtual
import Glibc

/// Records a planned run, runs it, and seals it.
final class RunSession {
    private let context: CommandContext
    private let repository: Repository
    private let signer: any Signer
    private let live: LiveRun
    private let plan: RunPlan
    private let server: ViewServer
    private var serving = DataServing()
    private let witnesses: [any RunWitness]
    private var isSealed = false
    private let access: AccessWitness
    private let denials: Denials
    /// What the witnesses have asked of the plan; `nil` before they were prepared.
    private var waits: Bool?

    init(
        context: CommandContext, repository: Repository, signer: any Signer, live: LiveRun, plan: RunPlan,
        view: ViewServer, denials: Denials
    ) {
        self.context = context
        self.repository = repository
        self.signer = signer
        self.live = live
        self.plan = plan
        server = view
        self.denials = denials
        access = AccessWitness(plan: plan, live: live, repository: repository, server: view)
        // Last: with it ends the server of the view.
        witnesses = RunWitnesses.all(plan, live, repository, signer, context) + [access]
    }

    /// Makes the run's folder and records its start. `false` when packs on which the plan relies were condemned meanwhile:
    /// then there is no run, and another plan is needed.
    func begin() throws(DFSError) -> Bool {
        try live.make()
        do throws(DFSError) {
            try writeJournal(started: nil, namespace: nil)
            if try record() { return true }
        } catch {
            try? live.remove()
            throw error
        }
        try? live.remove()
        return false
    }

    /// Runs what has begun, and seals it. What keeps it from being run is how it ended.
    func run() throws(DFSError) -> ExitCode {
        do throws(DFSError) { return try perform() } catch {
            if !isSealed { try? sealUnstarted(error) }
            throw error
        }
    }

    private func sealUnstarted(_ error: DFSError) throws(DFSError) {
        for witness in witnesses { witness.ended() }
        let code = ExitCode(error.code, .launch).rawValue
        try RunSeal(repository: repository, live: live).run(
            outcome: .failed,
            result: [
                "reason": .string("not started: \(error.what)"), "actor": .string(RunEnding.Actor.launcher.rawValue),
                "failure": [
                    "stage": "launcher", "what": .string(error.what), "cause": error.cause.map { .string($0) } ?? .null,
                ], "exit": .integer(Int64(code)),
            ], found: false, by: signer)
    }

    private func perform() throws(DFSError) -> ExitCode {
        let state = try repository.state()
        context.output.say(plan.summary)
        for warning in plan.captured.warnings { context.output.warn(warning) }
        if let mounts = plan.environmentMounts, mounts.isWhole { try mounts.adopt(by: plan.run, repository, signer) }
        defer { serving.end(linger: (try? context.viewLinger()) ?? 0) }
        let view = try prepareView(state)
        let (ending, result) = try start(view, state)
        if case .failed(let failure) = ending { plan.request.ranks?.failed(failure.launchError) }
        for witness in witnesses { witness.ended() }
        return try seal(view, ending, result)
    }

    // MARK: Recording

    private func writeJournal(started: Timestamp?, namespace: String?) throws(DFSError) {
        try live.writeJournal([
            "format": "dfs.journal/1", "run": .string(plan.run.description), "launcher": try ProcessIdentity.own().json,
            "started": .string((started ?? context.clock()).description),
            "namespace": namespace.map { .string($0) } ?? .null, "project-directory": .string(plan.survey.root),
            "maximum-file": .integer(Int64(clamping: plan.maximumFileSize)), "mountpoint": .string(server.mountpoint),
        ])
    }

    /// One entry: the snapshot where it is new, and the start of the run. `false` as `begin` has it.
    private func record() throws(DFSError) -> Bool {
        let writer = plan.captured.writer
        let stable = try writer.put(Self.hostPart("stable", plan.host.stable))
        let job = try writer.put(Self.hostPart("job", plan.host.job))
        let volatile = try writer.put(Self.hostPart("volatile", plan.host.volatile))
        let record = try writer.putHere(planRecord(stable, job, volatile))
        let codeRecord = try writer.putHere(plan.captured.record())
        let text = try writer.putHere(TextObject(fields: texts).encoded)
        let finished = try writer.finish(base: plan.captured.base)
        func reference(_ address: ObjectAddress) -> RecordReference {
            RecordReference(record: address, packs: finished.packs, pack: finished.pack)
        }
        let plan = plan
        let reliance = Reliance(finished, events: plan.captured.reliedOn, began: plan.began)
        let recording = try repository.record(by: signer, relyingOn: reliance) { state throws(DFSError) in
            var events = [LedgerEvent]()
            if state.projects[plan.project]?.snapshot(plan.snapshot) == nil {
                events.append(
                    .codeCaptured(
                        .init(
                            project: plan.project, snapshot: plan.snapshot, tree: plan.code,
                            record: reference(codeRecord))))
            }
            events.append(
                .runStarted(
                    .init(
                        run: plan.run, project: plan.project, snapshot: plan.snapshot,
                        data: plan.inputs.map(\.ledgerInput), record: reference(record), text: text)))
            if let tag = plan.request.tag {
                events.append(.tagSet(.init(tag: tag, target: .run(plan.run), moved: false)))
            }
            return events
        }
        guard case .entry = recording else {
            writer.abandon()
            return false
        }
        repository.remember(finished)
        plan.captured.remember(in: try repository.state())
        return true
    }

    /// Stored apart, so that what does not change from run to run is stored once.
    private static func hostPart(_ name: String, _ facts: JSONValue) -> JSONValue {
        ["format": "dfs.host/1", "part": .string(name), "facts": facts]
    }

    private func planRecord(
        _ stable: ObjectAddress, _ job: ObjectAddress, _ volatile: ObjectAddress
    ) -> JSONValue {
        [
            "format": "dfs.run/1", "run": .string(plan.run.description), "project": .string(plan.project),
            "snapshot": .string(plan.snapshot), "code": plan.code.json,
            "host": [
                "stable": .string(stable.digest.text), "job": .string(job.digest.text),
                "volatile": .string(volatile.digest.text),
            ],
            "data": .array(
                plan.inputs.map { input in
                    ["key": .string(input.key), "dataset": .string(input.dataset), "tree": input.version.tree.json]
                }),
            "roots": .array(
                plan.roots.map { root in
                    ["project": .string(root.project), "snapshot": .string(root.snapshot), "code": root.tree.json]
                }),
            "seed": .integer(Int64(plan.seed)),
            "expands": .bool(plan.request.expands), "maximum-file": .integer(Int64(clamping: plan.maximumFileSize)),
            "repeats": plan.request.repeats.map { .string($0.description) } ?? .null,
            "in-place": .bool(plan.request.inPlace), "access": .bool(plan.request.recordsAccess),
            "deny": .array(denials.rules.map { .string($0.reference) }), "drift": plan.drift?.json ?? .null,
            "strict": .bool(plan.request.strict), "git": plan.git,
            "imported-mounts": plan.request.importedMounts?.json ?? .null,
            "environment-mounts": plan.environmentMounts?.json ?? .null,
            "environment": plan.secrets.environment.json, "secrets": plan.secrets.json,
            "capabilities": plan.capabilities.json,
        ]
    }

    private var texts: [String: JSONValue] {
        var fields = context.identity()
        fields["arguments"] = .array(plan.secrets.arguments.map { .string(NameText.encode($0)) })
        fields["environment"] = plan.secrets.environment.text
        if let reason = plan.request.allowSecrets { fields["allow-secrets"] = .string(reason) }
        fields["directory"] = plan.request.environment.directory.map { .string($0) } ?? .null
        fields["project-directory"] = .string(plan.survey.root)
        if !plan.roots.isEmpty { fields["root-directories"] = .array(plan.roots.map { .string($0.survey.root) }) }
        fields["identity"] = plan.host.identity
        var paths = [String: JSONValue]()
        for input in plan.inputs { if let path = input.path { paths[input.key] = .string(path) } }
        fields["data-paths"] = .object(paths)
        if let note = plan.request.note { fields["note"] = .string(note) }
        return fields
    }

    // MARK: The view

    /// Without FUSE or namespaces what would be mounted is copied.
    private func prepareView(_ state: LedgerState) throws(DFSError) -> RunView {
        let usesNamespace = plan.capabilities.namespace != .none
        let history = usesNamespace ? server.path() : nil
        var view = RunView(
            plan: plan, live: live, environment: plan.request.environment, history: history,
            cacheRoot: try context.directories.cache())
        if usesNamespace {
            serving = try DataServingChoice(context: context, repository: repository, choice: plan.request.serve).serve(
                plan.inputs, sequence: state.head.sequence, isPrivileged: plan.capabilities.namespace == .mount,
                denials: denials)
            view.serving = serving
            view.environmentSteps =
                try plan.environmentMounts?.steps(history: history, threads: context.jobs) ?? []
            if let imported = plan.request.importedMounts {
                if let history {
                    view.environmentSteps += imported.steps(history: history)
                } else {
                    context.output.warn(
                        "modules from outside are this machine's: there is no FUSE here to show the recorded ones")
                }
            }
            view.denials = denials
            if let history, !denials.isEmpty {
                view.hostCovers = DeniedMounts(
                    repository: repository, state: state, denials: denials, history: history
                ).steps()
            }
        }
        if history == nil, !serving.isSealed || plan.inputs.isEmpty {
            let cause = server.failure.map { $0.cause ?? $0.what } ?? plan.capabilities.userNamespace.reason
            context.output.warn("data is copied for this run: \(cause ?? "no namespaces here")")
            view.copiedData = try copyData(to: live.scratch + "/data")
        }
        if view.hiddenPaths > 0 {
            let paths = Quantity.count(view.hiddenPaths, "ignored path")
            context.output.warn("\(paths) of the project cannot be seen in this run; ignore whole directories")
        }
        if !usesNamespace, !plan.roots.isEmpty {
            context.output.warn("no namespaces here: the job sees the roots of --code as they are, not as recorded")
        }
        for number in plan.roots.indices {
            for folder in ["/upper", "/work"] { try Files.makeDirectories(live.rootLayer(number) + folder) }
        }
        if !plan.request.inPlace, history == nil || !plan.capabilities.overlay.isUsable { try copyCode(&view) }
        access.serves(view)
        return view
    }

    private func copyData(to folder: String) throws(DFSError) -> [String: String] {
        try Files.makeDirectories(folder)
        var copies = [String: String]()
        for input in plan.inputs where serving.base(input.key) == nil {
            let target = folder + "/" + input.key
            try Export(reader: repository.reader, threads: context.jobs).run(
                .root(input.version.tree, modified: input.version.time), to: target)
            copies[input.key] = target
        }
        return copies
    }

    private func copyCode(_ view: inout RunView) throws(DFSError) {
        try Export(reader: repository.reader, threads: context.jobs).run(
            .root(plan.code, modified: context.clock()), to: live.work)
        view.copiedCode = live.work
        guard plan.capabilities.namespace != .none else { return }
        for (number, root) in plan.roots.enumerated() {
            let copy = live.rootCopy(number)
            try Files.makeDirectories(Files.parent(copy))
            try Export(reader: repository.reader, threads: context.jobs).run(
                .root(root.tree, modified: context.clock()), to: copy)
            view.copiedRoots.append(copy)
        }
    }

    // MARK: The job

    private func start(
        _ view: RunView, _ state: LedgerState
    ) throws(DFSError) -> (Supervisor.Outcome, kind: String) {
        let others = state.runs.suffix(RunView.otherRuns + 1).map(\.id)
        let outcome = try supervise(view.enterPlan(otherRuns: others))
        guard case .failed(let failure) = outcome, failure.stage == .overlay, view.copiedCode == nil else {
            return (outcome, view.workKind)
        }
        // The kernel refuses a writable layer here (the store may lie on an overlay itself): a copy stands in for it.
        var view = view
        try Files.removeTree(live.layer)
        try Files.makeDirectories(live.work)
        try copyCode(&view)
        access.servesCode(view)
        return (try supervise(view.enterPlan(otherRuns: others)), view.workKind)
    }

    private func supervise(_ enter: EnterPlan) throws(DFSError) -> Supervisor.Outcome {
        var enter = enter
        prepareWitnesses(&enter)
        let follower = LogFollower(
            plan.request.showsOutput
                ? [
                    .init(path: RawPath(live.standardOutput), output: context.streams.output),
                    .init(path: RawPath(live.standardError), output: context.streams.error),
                ] : [])
        defer { follower.finish() }
        var supervisor = Supervisor(executable: ServerProcess.executable, arguments: ["dfs", "__enter"])
        supervisor.terminals = terminals(&enter)
        // Before the follower ends: what is printed is in the logs then.
        defer { supervisor.terminals.forEach { $0.finish() } }
        return try supervisor.run(
            enter, onReady: { pid in for witness in witnesses { witness.ready(pid: pid) } },
            onStart: { pid, namespace in
                try? writeJournal(started: context.clock(), namespace: namespace)
                for witness in witnesses { witness.began(pid: pid, mountNamespace: namespace) }
            },
            isOver: { isInterrupted in
                // Each is asked every time.
                witnesses.filter { !$0.othersHaveEnded(isInterrupted: isInterrupted) }.isEmpty
            })
    }

    /// Once: they start processes and open logs. Of a second plan only `waits` is theirs to say, and where the code comes from
    /// is the record of accesses' to know.
    private func prepareWitnesses(_ enter: inout EnterPlan) {
        if let waits {
            enter.waits = waits
            access.prepare(&enter)
        } else {
            for witness in witnesses { witness.prepare(&enter) }
        }
        waits = enter.waits
    }

    /// Where the user's terminal is an output of ours, the job's is a terminal too. One that cannot be had is no reason to
    /// fail: the job writes into the log itself then.
    private func terminals(_ enter: inout EnterPlan) -> [JobTerminal] {
        guard plan.request.showsOutput else { return [] }
        func terminal(_ real: Int32, _ log: String) -> JobTerminal? {
            guard TerminalDevice.isTerminal(real) else { return nil }
            return try? JobTerminal(
                real: real, log: RawPath(log), executable: ServerProcess.executable, arguments: ["dfs", "__pump"])
        }
        let output = terminal(context.streams.output, live.standardOutput)
        let error = terminal(context.streams.error, live.standardError)
        if let output { enter.standardOutput = output.path }
        if let error { enter.standardError = error.path }
        return [output, error].compactMap { $0 }
    }

    // MARK: Sealing

    private func seal(
        _ view: RunView, _ outcome: Supervisor.Outcome, _ workKind: String
    ) throws(DFSError) -> ExitCode {
        var result: [String: JSONValue] = [
            "served": .string(view.served), "data-served": serving.json, "working-directory": .string(workKind),
        ]
        let ending: RunEnding
        let code: Int32
        switch outcome {
        case .ended(let child):
            result["child"] = child.json
            ending = RunEnding(child).heeding(plan.request.ranks?.failure, late: child)
            code = ending.outcome == .interrupted ? child.interruptedStatus : child.exitStatus
        case .failed(let failure):
            result["failure"] = [
                "stage": .string(failure.stage.rawValue), "what": .string(failure.error.what),
                "cause": failure.error.cause.map { .string($0) } ?? .null,
            ]
            code = failure.exitCode
            ending = RunEnding(failure)
        }
        result.merge(ending.json) { $1 }
        result["exit"] = .integer(Int64(code))
        if !plan.roots.isEmpty { result["roots-written"] = RunRoots.written(plan, in: live) }
        for witness in witnesses { result[witness.name] = witness.summary }
        var seal = RunSeal(repository: repository, live: live)
        seal.workFilter = WorkFilter(
            exclusions: workKind == "overlay" ? nil : plan.survey.exclusions,
            rules: WorkFilter.rules(project: plan.survey.root))
        seal.maximumFileSize = plan.maximumFileSize
        let sealed = try seal.run(outcome: ending.outcome, result: result, found: false, by: signer)
        isSealed = true
        if case .failed(let failure) = outcome { throw failure.launchError }
        report(sealed, code, ending)
        for witness in witnesses { witness.sealed() }
        return ExitCode(rawValue: code)
    }

    private func report(_ sealed: RunSeal.Sealed, _ code: Int32, _ ending: RunEnding) {
        if let first = sealed.secrets.first {
            let more = sealed.secrets.count > 1 ? " and \(sealed.secrets.count - 1) more" : ""
            context.output.warn("the run wrote what looks like a secret, and it is recorded: \(first.sentence)\(more)")
        }
        func part(_ name: String, _ tree: TreeReference) -> String {
            "\(name) \(Quantity.count(Int(tree.files), "file")), \(ByteCount(tree.bytes))"
        }
        let reason = ending.reason == "exit \(code)" ? "" : ": \(ending.reason)"
        let end = ending.outcome == .succeeded ? "" : " \(ending.outcome.rawValue) (exit \(code)\(reason))"
        let deleted = sealed.deleted == 0 ? "" : ", \(sealed.deleted) removed"
        let parts =
            [part("outputs", sealed.outputs), part("work", sealed.work) + deleted] + leftOut
            + witnesses.compactMap(\.words)
        context.output.say(
            "run \(plan.name)\(end): \(parts.joined(separator: "; ")); dfs show run:\(plan.run.uuid.digits.suffix(8))")
    }

    /// `left out: 1 file above 100 MB, 1 special file`, as the record says; nothing where all was taken.
    private var leftOut: [String] {
        guard let end = try? repository.state().run(plan.run)?.end,
            let record = try? repository.objects.json(end.record.record, what: "the result")
        else { return [] }
        let captures = [record["outputs-capture"], record["work-capture"]]
        func count(_ member: String) -> Int64 {
            captures.reduce(0) { $0 + (CaptureFields.count(member, $1) ?? 0) }
        }
        var kinds = [String]()
        let (large, special) = (count("too-large"), count("special"))
        if large > 0 { kinds.append("\(Quantity.count(large, "file")) above \(ByteCount(plan.maximumFileSize))") }
        if special > 0 { kinds.append(Quantity.count(special, "special file")) }
        return kinds.isEmpty ? [] : ["left out: " + kinds.joined(separator: ", ")]
    }
}
