import ArgumentParser
import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem

/// `dfs-run … COMMAND`: plan, record, mount, run, seal.
struct RunCommand: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a command against frozen data and code, and record it (also: dfs-run).",
        discussion: "Inside the run, /deepops/self is its directory: data/KEY, code, outputs.")

    static var exitTable: ExitCode.Table { .launch }

    @Option(
        help: ArgumentHelp(
            "Data of the run, repeatable. KEY with a slash is a path at which it appears.", valueName: "[KEY=]REF"))
    var data: [String] = []

    @Flag(help: "Run in the real directory instead of a snapshot of it.")
    var inPlace = false

    @Flag(help: "Hide ignored paths of the project instead of showing them read-only.")
    var strict = false

    @Option(help: "Given to the job as DFS_SEED (default: random).")
    var seed: UInt32?

    @Option(help: "A tag for the run.")
    var tag: String?

    @Option(help: "A note for the run.")
    var note: String?

    @Option(help: ArgumentHelp("Another directory whose code is captured, repeatable.", valueName: "path"))
    var code: [String] = []

    @Option(help: ArgumentHelp("Compare this host with the one of a run.", valueName: "run"))
    var like: String?

    @Option(help: ArgumentHelp("Refuse a host that differs more: identical, same-numerics, …", valueName: "class"))
    var require: String?

    @Option(help: ArgumentHelp("Data that this run must not read, repeatable.", valueName: "ref"))
    var deny: [String] = []

    @Option(
        help: ArgumentHelp("Record what looks like a secret, and why that is no harm.", valueName: "reason"))
    var allowSecrets: String?

    @Flag(help: "Do not keep the interpreter and its packages.")
    var noFreezeEnv = false

    @Flag(help: "Do not record which files the run opens.")
    var noAccess = false

    @Flag(help: "Leave {data}, {outputs} and {run} in the command as they are.")
    var noExpand = false

    @Option(help: "How data is served: sealed (by the kernel itself; root), fuse, or the better of them.")
    var serve: DataChoice = .auto

    @OptionGroup(title: "Global options") var global: GlobalOptions

    @Argument(parsing: .captureForPassthrough, help: "The command and its arguments.")
    var command: [String] = []

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        if ["--help", "-h"].contains(command.first) {
            // The passthrough takes everything, and so the request for help too.
            try context.output.line(Root.helpMessage(for: RunCommand.self))
            return .done
        }
        var request = try request(context)
        if let attached = AttachedRun.current(context.environment) { try attached.execute(request, context) }
        if request.require == nil { request.require = try context.project()?.run.require }
        let repository = try context.repository(creating: true)
        try context.warnOfProject()
        guard let rank = StepRank.current(context.environment) else {
            return try RunLauncher(context: context, repository: repository).launch(request).code
        }
        return try launch(request, rank, repository, context)
    }

    /// All ranks of a step are one run: one of them starts it, the others join.
    private func launch(
        _ request: LaunchRequest, _ rank: StepRank, _ repository: Repository, _ context: CommandContext
    ) throws(DFSError) -> ExitCode {
        guard rank.nodes == 1 else {
            throw DFSError(
                .launcher, "step \(rank.step) is on \(rank.nodes) machines",
                cause: "a run's view is on one machine yet",
                hint: "srun -N 1 -n \(rank.count) dfs-run …")
        }
        let run = RunID(.make())
        let claim = try LeaderClaim(run, rank: rank.rank, request)
        let place = try MeetingPlace(rank, storeRoot: repository.root)
        // Its folders are reached through it.
        defer { withExtendedLifetime(place) {} }
        switch try place.attend(claim) {
        case .follower(let meeting, let leader):
            return try RankFollower(
                meeting: meeting, leader: leader, context: context, repository: repository
            ).execute(request, claim)
        case .leader(let meeting):
            var request = request
            request.ranks = RankLeader(meeting)
            do throws(DFSError) {
                let code = try RunLauncher(context: context, repository: repository).launch(request, as: run).code
                meeting.close()
                return code
            } catch {
                // The folder stays for those that have not come yet.
                meeting.fail(error)
                throw error
            }
        }
    }

    private func request(_ context: CommandContext) throws(DFSError) -> LaunchRequest {
        var request = LaunchRequest(command: try words(), environment: context.environment)
        request.data = data.isEmpty ? try context.project()?.run.data ?? [] : data
        request.code = .directories(code)
        (request.inPlace, request.strict, request.expands) = (inPlace, strict, !noExpand)
        (request.seed, request.tag, request.note, request.serve) = (seed, tag, note, serve)
        request.allowSecrets = allowSecrets
        (request.like, request.require, request.deny) = (like, require, deny)
        (request.freezesEnvironment, request.recordsAccess) = (!noFreezeEnv, !noAccess)
        return request
    }

    /// The command. The passthrough begins at the first word that is no option, and so at an option that does not exist.
    private func words() throws(DFSError) -> [String] {
        if let first = command.first, first.hasPrefix("-"), first != "--" { throw Self.unknown(first) }
        let words = Array(command.first == "--" ? command.dropFirst() : command[...])
        guard !words.isEmpty else {
            throw DFSError(.usage, "there is no command to run", hint: "dfs-run -- python train.py")
        }
        return words
    }

    private static let options = [
        "--data", "--in-place", "--strict", "--seed", "--tag", "--note", "--no-expand", "--serve", "--code",
        "--like", "--require", "--deny", "--no-freeze-env", "--no-access", "--allow-secrets",
        "--store", "--json", "--quiet", "--progress",
        "--color", "--jobs", "--help",
    ]

    private static func unknown(_ option: String) -> DFSError {
        let name = String(option.prefix { $0 != "=" })
        let near = Suggestion.nearest(to: name, among: options).map { "did you mean \($0)?" }
        return DFSError(
            .usage, "there is no option \(name)", cause: near ?? "options stand before the command, its own after it",
            hint: "dfs-run --help")
    }
}
