import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem
import Glibc

/// A rank that joins the run which another rank of its step leads.
struct RankFollower {
    let meeting: RankMeeting
    let leader: LeaderClaim
    let context: CommandContext
    let repository: Repository

    /// `own` is what this rank would have claimed.
    func execute(_ request: LaunchRequest, _ own: LeaderClaim) throws(DFSError) -> ExitCode {
        do throws(DFSError) {
            try check(own)
            let code = try join(request, try awaitLeader())
            end(code)
            return code
        } catch {
            // The leader's own reason where it has one: what it shared is gone then.
            let error = (try? meeting.failure()) ?? error
            end(ExitCode(error.code, .launch))
            throw error
        }
    }

    /// A leader that waits no more has removed the folder.
    private func end(_ code: ExitCode) {
        guard var note = try? meeting.note(of: meeting.rank.rank) else { return }
        note.exit = code.rawValue
        try? meeting.replace(note, of: meeting.rank.rank)
    }

    /// The run is one: no rank can ask for something else.
    private func check(_ own: LeaderClaim) throws(DFSError) {
        guard let option = own.difference(from: leader) else { return }
        throw DFSError(
            .refused, "rank \(meeting.rank.rank) asks for another run than rank \(leader.rank)",
            cause: "\(option) differs; of the ranks of a step only the command may",
            hint: "srun -n \(meeting.rank.count) dfs-run …")
    }

    private func awaitLeader() throws(DFSError) -> JSONValue {
        while true {
            if let failure = try meeting.failure() { throw failure }
            if let ready = try meeting.read("ready.json"), try leader.process.liveness() == .alive { return ready }
            guard try leader.process.liveness() == .alive else {
                if let failure = try meeting.failure() { throw failure }
                throw DFSError(
                    .launcher, "rank \(meeting.rank.rank) has no run to join",
                    cause: "rank \(leader.rank), which led step \(meeting.rank.step), is gone", hint: "dfs runs")
            }
            usleep(20_000)
        }
    }

    private func join(_ request: LaunchRequest, _ ready: JSONValue) throws(DFSError) -> ExitCode {
        let live = LiveRun(storeRoot: repository.root, run: leader.run)
        guard live.isOwn else {
            throw DFSError(
                .refused, "rank \(meeting.rank.rank) cannot join run \(leader.run.short)",
                cause: "its folder is gone, or another user's", hint: "ls -ld \(live.root)")
        }
        guard let record = try repository.state().run(leader.run) else {
            throw DFSError(.launcher, "run \(leader.run) is not in the ledger", hint: "dfs doctor")
        }
        let environment = environment(ready)
        let words =
            request.expands
            ? request.command.map { Placeholders(of: record, environment).expand($0) } : request.command
        var enter = EnterPlan(
            namespace: .none, uid: getuid(), gid: getgid(),
            workingDirectory: RawPath(
                (ready["directory"]?.string).flatMap { NameText.decode($0) } ?? Array("/".utf8)),
            environment: environment.variables.map { ArgumentText.bytes(of: $0.key + "=" + $0.value) },
            arguments: words.map { ArgumentText.bytes(of: $0) })
        // The leader's, whose user is known, and nothing else.
        let place = "/proc/\(leader.process.pid)/fd/"
        enter.joins = (ready["namespaces"]?.array ?? []).compactMap(\.string).filter { $0.hasPrefix(place) }
            .map { RawPath($0) }
        let log = live.logs + "/rank-\(meeting.rank.rank)."
        enter.standardOutput = RawPath(log + "stdout")
        enter.standardError = RawPath(log + "stderr")
        let follower = LogFollower([
            .init(path: RawPath(log + "stdout"), output: context.streams.output),
            .init(path: RawPath(log + "stderr"), output: context.streams.error),
        ])
        defer { follower.finish() }
        switch try Supervisor(executable: ServerProcess.executable, arguments: ["dfs", "__enter"]).run(enter) {
        case .ended(let child): return ExitCode(rawValue: child.exitStatus)
        case .failed(let failure): throw failure.launchError
        }
    }

    /// This rank's own, and what tells of the run: of the leader's no others are taken.
    private func environment(_ ready: JSONValue) -> ProcessEnvironment {
        var environment = context.environment
        for text in (ready["variables"]?.array ?? []).compactMap(\.string) {
            let variable = ArgumentText.text(of: NameText.decode(text) ?? Array(text.utf8))
            guard variable.hasPrefix("DFS_"), let equals = variable.firstIndex(of: "=") else { continue }
            environment.variables[String(variable[..<equals])] = String(variable[variable.index(after: equals)...])
        }
        return environment
    }
}
