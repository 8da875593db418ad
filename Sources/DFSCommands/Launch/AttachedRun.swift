import CLinux
import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore
import DFSSystem
import Glibc

/// The run that this process is a part of: `dfs-run` called by a job is no run of its own, but a step of that one.
struct AttachedRun {
    let run: RunID
    private let directory: String

    /// `nil` outside runs. The variables alone prove nothing: they may have been handed on.
    static func current(_ environment: ProcessEnvironment) -> AttachedRun? {
        guard let run = environment["DFS_RUN_ID"].flatMap({ RunID($0) }), let directory = environment["DFS_RUN_DIR"]
        else {
            return nil
        }
        let isInView = Files.linkTarget(RunView.deepops + "/self") == "runs/\(run)"
        // Without namespaces the run's directory is the live one.
        guard isInView || Files.exists(directory + "/journal.json") else { return nil }
        return AttachedRun(run: run, directory: directory)
    }

    /// Refuses what would start another run from within one.
    static func refuse(_ what: String, _ environment: ProcessEnvironment) throws(DFSError) {
        guard let attached = current(environment) else { return }
        throw DFSError(
            .refused, "\(what) cannot be called by a job", cause: "this is part of run \(attached.run.short)",
            hint: "dfs runs")
    }

    /// Becomes the command. Never comes back unless it cannot.
    func execute(_ request: LaunchRequest, _ context: CommandContext) throws(DFSError) -> Never {
        let repository = try context.repository(isStep: true)
        let resolver = try context.resolver(repository)
        guard let record = resolver.state.run(run) else {
            throw DFSError(
                .refused, "this is part of run \(run.short), which the store does not know",
                cause: "another store is set here than where the run was started", hint: "env -u DFS_RUN_ID dfs-run …")
        }
        try check(request, record, resolver, context)
        note(request, repository)
        context.output.say("part of run \(RunName.of(run)) (\(run.short))")
        try context.output.flush()
        let words =
            request.expands
            ? request.command.map { Placeholders(of: record, context.environment).expand($0) } : request.command
        throw Self.become(words, context)
    }

    /// What the run has is fixed: a step can ask for nothing else.
    private func check(
        _ request: LaunchRequest, _ record: RunRecord, _ resolver: Resolver, _ context: CommandContext
    ) throws(DFSError) {
        for input in try DataInput.resolve(
            request.data, resolver,
            absolute: { path throws(DFSError) in
                try context.absolute(path)
            }) where !record.data.contains(where: { $0.key == input.key && $0.content == input.version.content })
        {
            let names = record.data.map { "\($0.key)=\($0.dataset)@v\($0.version)" }
            throw DFSError(
                .refused, "run \(run.short) has no \(input.key)=\(input.dataset)@v\(input.version.number)",
                cause: names.isEmpty ? "it has no data" : "its data is fixed: \(names.joined(separator: ", "))",
                hint: "env -u DFS_RUN_ID dfs-run …")
        }
        if let option = request.options.keys.filter({ $0 != "--data" }).sorted().first {
            throw DFSError(
                .refused, "this is part of run \(run.short)", cause: "\(option) is given where a run is started",
                hint: "env -u DFS_RUN_ID dfs-run …")
        }
    }

    private func note(_ request: LaunchRequest, _ repository: Repository) {
        append(request.commandNote.object ?? [:], repository)
    }

    /// What is denied to a job is denied to `dfs` in its hands: the store holds it all.
    func checkDenials(_ repository: Repository) throws(DFSError) {
        guard let record = try repository.state().run(run),
            let plan = try? repository.objects.json(record.record.record, what: "the plan of run \(run)"),
            let denied = plan["deny"]?.array, !denied.isEmpty
        else { return }
        append(["program": "dfs", "refused": true], repository)
        throw DFSError(
            .refused, "dfs cannot be used in run \(self.run.short)",
            cause: "parts of the store are denied to it: \(denied.compactMap(\.string).joined(separator: " "))",
            hint: "ls \(RunView.deepops)/self/data")
    }

    private func append(_ members: [String: JSONValue], _ repository: Repository) {
        let line: JSONValue = .object(
            members.merging(["time": .string(Clock.now().description), "pid": .integer(Int64(getpid()))]) { $1 })
        let path = LiveRun(storeRoot: repository.root, run: run).evidence + "/steps.jsonl"
        guard let file = try? OwnedDescriptor.open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, mode: 0o644) else {
            return
        }
        try? Files.write(line.canonicalBytes + [0x0a], to: file.raw, what: path)
    }

    private static func become(_ words: [String], _ context: CommandContext) -> DFSError {
        var argv = words.map { word -> UnsafeMutablePointer<CChar>? in
            withCName(ArgumentText.bytes(of: word)) { strdup($0) }
        }
        argv.append(nil)
        clinux_reset_signals()
        _ = clinux_exec(argv[0], argv, clinux_environment())
        let code = errno
        let name = words.first ?? ""
        return code == ENOENT
            ? DFSError(.commandNotFound, "\(name) was not found", hint: "command -v \(ShellText.quote(name))")
            : DFSError(
                .cannotExecute, "\(name) cannot be executed", cause: String(cString: strerror(code)),
                hint: "ls -l \(ShellText.quote(name))", errno: code)
    }
}
