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
        let words = try words()
        if let tag { try Tag.check(tag) }
        // What is set wrongly is said before anything is recorded, and is no reason to serve data another way.
        (_, _) = (try context.viewLinger(), try context.cacheLimit())
        let repository = try context.repository(creating: true)
        let signer = try context.signer()
        let project = try context.project()
        try context.warnOfProject()
        let run = RunID(.make())
        let live = LiveRun(storeRoot: repository.root, run: run)
        // The server starts while code and host are looked at.
        let view = try ViewServer.start(run: run, repository: repository, context: context)
        do throws(DFSError) {
            let planner = RunPlanner(
                context: context, repository: repository, project: project, command: words, options: self, run: run)
            let session = try repository.storingAgain("run \(run)") { _ throws(DFSError) -> RunSession? in
                let session = RunSession(
                    context: context, repository: repository, signer: signer, live: live, plan: try planner.plan(),
                    view: view)
                return try session.begin() ? session : nil
            }
            let code = try session.run()
            view.stop()
            return code
        } catch {
            view.stop()
            throw error
        }
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

    private static let notBuilt = ["--code", "--like", "--require", "--deny", "--no-freeze-env", "--no-access"]
    private static let built = [
        "--data", "--in-place", "--strict", "--seed", "--tag", "--note", "--no-expand", "--serve", "--store", "--json",
        "--quiet",
        "--progress", "--color", "--jobs", "--help",
    ]

    private static func unknown(_ option: String) -> DFSError {
        let name = String(option.prefix { $0 != "=" })
        if notBuilt.contains(name) {
            return DFSError(.usage, "\(name) is not built yet", hint: "dfs-run --help")
        }
        let near = Suggestion.nearest(to: name, among: built).map { "did you mean \($0)?" }
        return DFSError(
            .usage, "there is no option \(name)", cause: near ?? "options stand before the command, its own after it",
            hint: "dfs-run --help")
    }
}
