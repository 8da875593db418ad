import ArgumentParser
import DFSSystem

/// Options that every command takes, before its name or after.
struct GlobalOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The store: a directory or s3://bucket/prefix.", valueName: "store"))
    var store: String?

    @Flag(help: "Answer in JSON: one object, or one per line for lists.")
    var json = false

    @Flag(name: .shortAndLong, help: "Errors only on stderr; names only in lists.")
    var quiet = false

    @Option(help: "How progress is shown.")
    var progress = Progress.Mode.auto

    @Option(help: "When text is coloured.")
    var color = Style.Choice.auto

    @Option(
        name: [.customShort("j", allowingJoined: true), .long],
        help: ArgumentHelp("Threads that work at once (default: one per processor).", valueName: "n"))
    var jobs: Int?

    func validate() throws {
        if let jobs, jobs < 1 { throw ValidationError("--jobs takes a number of at least 1, not \(jobs)") }
    }

    /// How many of the arguments at the front are one of these options: 0, 1, or 2 with its value.
    ///
    /// Lets `dfs --store X log` mean `dfs log --store X`: the parser knows options only after the command's name.
    static func length(atFrontOf arguments: ArraySlice<String>) -> Int {
        guard let first = arguments.first else { return 0 }
        if ["--json", "--quiet", "-q"].contains(first) { return 1 }
        let valued = ["--store", "--progress", "--color", "--jobs", "-j"]
        if valued.contains(first) { return min(2, arguments.count) }
        if first.hasPrefix("-j"), !first.hasPrefix("--") { return 1 }
        return valued.contains { $0.hasPrefix("--") && first.hasPrefix($0 + "=") } ? 1 : 0
    }
}

extension Progress.Mode: ExpressibleByArgument {}
extension Style.Choice: ExpressibleByArgument {}
