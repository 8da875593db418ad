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
    let run: RunID
    let leader: ProcessIdentity
    let context: CommandContext
    let repository: Repository

    func execute(_ request: LaunchRequest) throws(DFSError) -> ExitCode {
        let ready = try awaitLeader()
        let code: ExitCode
        do throws(DFSError) { code = try join(request, ready) } catch {
            try? meeting.note(["exit": .integer(Int64(ExitCode(error.code, .launch).rawValue))], of: meeting.rank.rank)
            throw error
        }
        try meeting.note(["exit": .integer(Int64(code.rawValue))], of: meeting.rank.rank)
        return code
    }

    private func awaitLeader() throws(DFSError) -> JSONValue {
        while true {
            if let ready = try meeting.read("ready.json") { return ready }
            if let failed = try meeting.read("failed.json") {
                throw DFSError(
                    (failed["code"]?.string).flatMap { DFSError.Code(rawValue: $0) } ?? .launcher,
                    failed["what"]?.string ?? "rank \(meeting.rank.rank) has no run to join",
                    cause: failed["cause"]?.string, hint: failed["hint"]?.string)
            }
            guard try leader.liveness() != .dead else {
                throw DFSError(
                    .launcher, "rank \(meeting.rank.rank) has no run to join",
                    cause: "the rank that led step \(meeting.rank.step) is gone", hint: "dfs runs")
            }
            usleep(20_000)
        }
    }

    private func join(_ request: LaunchRequest, _ ready: JSONValue) throws(DFSError) -> ExitCode {
        let live = LiveRun(storeRoot: repository.root, run: run)
        var environment = context.environment
        for text in (ready["variables"]?.array ?? []).compactMap(\.string) {
            let variable = ArgumentText.text(of: NameText.decode(text) ?? Array(text.utf8))
            guard let equals = variable.firstIndex(of: "=") else { continue }
            environment.variables[String(variable[..<equals])] = String(variable[variable.index(after: equals)...])
        }
        guard let record = try repository.state().run(run) else {
            throw DFSError(.launcher, "run \(run) is not in the ledger", hint: "dfs doctor")
        }
        let words =
            request.expands
            ? request.command.map { Placeholders(of: record, environment).expand($0) } : request.command
        var enter = EnterPlan(
            namespace: .none, uid: getuid(), gid: getgid(),
            workingDirectory: RawPath(
                (ready["directory"]?.string).flatMap { NameText.decode($0) } ?? Array("/".utf8)),
            environment: environment.variables.map { ArgumentText.bytes(of: $0.key + "=" + $0.value) },
            arguments: words.map { ArgumentText.bytes(of: $0) })
        enter.joins = (ready["namespaces"]?.array ?? []).compactMap(\.string).map { RawPath($0) }
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
}
