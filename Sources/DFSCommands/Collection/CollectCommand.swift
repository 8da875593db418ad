import ArgumentParser
import DFSHistory
import DFSModel

/// `dfs gc`: frees the space of what nothing needs any more.
struct CollectCommand: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc", abstract: "Plan what to free; with --yes, free it.",
        discussion: """
            Packs of stored bytes that nothing needs are condemned first, and deleted a grace later. Any number of commits \
            may go on beside.
            """)

    @Flag(help: "Do it.") var yes = false
    @Option(
        help: ArgumentHelp(
            "How long condemned packs stay for readers, and packs of interrupted commits are left alone: 7d, 12h, 0.",
            valueName: "duration")) var grace = "7d"
    @Option(
        help: ArgumentHelp(
            "Rewrite packs of which less than so many percent are needed, where that frees 5 or more; 0: none.",
            valueName: "percent"))
    var compactBelow = 50
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        guard (0...100).contains(compactBelow) else {
            throw DFSError(.usage, "--compact-below \(compactBelow) is no percentage", hint: "dfs gc --help")
        }
        let options = Collector.Options(grace: try Self.seconds(grace), compactBelow: compactBelow)
        let repository = try context.repository()
        let collector = Collector(repository: repository, options: options)
        if yes, options.grace == 0 {
            context.output.warn("with no grace, whoever reads what was removed loses it while reading")
        }
        let report = try context.progress.track("gc") { _ throws(DFSError) in
            if !yes { return CollectReport(plan: try collector.plan(), outcome: nil, grace: options.grace) }
            let outcome = try collector.collect(by: try context.signer())
            return CollectReport(plan: outcome.plan, outcome: outcome, grace: options.grace)
        }
        try context.output.report(report)
        return .done
    }

    /// The seconds of `7d`, `12h` or `0`.
    static func seconds(_ text: String) throws(DFSError) -> Int64 {
        if text == "0" { return 0 }
        guard TimeExpression.looksLikeAge(text) else {
            throw DFSError(
                .usage, "--grace \(text) is no duration", cause: "durations are 7d, 12h, 30m or 0",
                hint: "dfs gc --help")
        }
        let now = Timestamp(seconds: 1 << 40, nanoseconds: 0)
        return now.seconds - (try TimeExpression.parse(text, now: now)).seconds
    }
}
