import ArgumentParser
import DFSModel
import DFSSystem

/// One call of the program, with everything it depends on, so that tests run it in their own process.
package struct Invocation: Sendable {
    /// Without the program's name.
    package var arguments: [String]
    package var environment: ProcessEnvironment
    package var streams: StandardStreams
    package var clock: @Sendable () -> Timestamp
    package var hooks: CleanupHooks

    package init(
        arguments: [String], environment: ProcessEnvironment, streams: StandardStreams = .ofProcess,
        clock: @escaping @Sendable () -> Timestamp = { Clock.now() }, hooks: CleanupHooks = CleanupHooks()
    ) {
        self.arguments = arguments
        self.environment = environment
        self.streams = streams
        self.clock = clock
        self.hooks = hooks
    }

    /// Parses, executes, reports; returns the exit code.
    package func run() -> Int32 {
        let code: ExitCode
        do {
            let path = try CommandPath(arguments, root: Root.self)
            switch try parse(path) {
            case .command(let command): code = execute(command)
            case .help(let text):
                let output = early
                code = finish(output, .general) { () throws(DFSError) in
                    try output.line(text)
                    return .done
                }
            }
        } catch {
            code = ExitCode(error.code)
            ErrorReport(error, exit: code).print(to: early)
        }
        return code.rawValue
    }

    private enum Parsed {
        case command(any DFSCommand)
        case help(String)
    }

    /// What the arguments ask for. A command that is only a group, and the parser's own requests, are texts.
    private func parse(_ path: CommandPath) throws(DFSError) -> Parsed {
        do {
            var command = try Root.parseAsRoot(path.arguments)
            if let command = command as? any DFSCommand { return .command(command) }
            // Of anything else, running is to ask for its help.
            try command.run()
            return .help(Root.helpMessage())
        } catch {
            guard Root.exitCode(for: error).isSuccess else { throw usage(Root.message(for: error), path) }
            if let word = Self.accidentalHelp(path.arguments) { throw usage("Unknown option '\(word)'", path) }
            let text = Root.fullMessage(for: error)
            return .help(String(text.dropLast(text.reversed().prefix { $0 == "\n" }.count)))
        }
    }

    /// `-dash`: to the parser four short options, one of which asks for help.
    private static func accidentalHelp(_ arguments: [String]) -> String? {
        guard !arguments.contains(where: { ["-h", "--help", "-help", "help", "--version"].contains($0) }) else {
            return nil
        }
        return arguments.first { $0.hasPrefix("-") && !$0.hasPrefix("--") && $0.count > 2 && $0.contains("h") }
    }

    /// The parser's message in our form: the first sentence is what, the rest is why.
    private func usage(_ message: String, _ path: CommandPath) -> DFSError {
        let lines = message.split(separator: "\n").map { $0.drop { $0 == " " } }.joined(separator: " ")
        let parts = lines.split(separator: ". ", maxSplits: 1)
        let cause = parts.count > 1 ? parts[1].prefix(1).lowercased() + parts[1].dropFirst() : nil
        let what = parts.first.map { $0.prefix(1).lowercased() + $0.dropFirst() } ?? "the arguments make no command"
        return DFSError(
            .usage, what, cause: cause,
            hint: (["dfs"] + path.names + ["--help"]).joined(separator: " "))
    }

    private func execute(_ command: some DFSCommand) -> ExitCode {
        let global = command.global
        let output = Output(
            streams: streams, format: global.json ? .json : .text, quiet: global.quiet, color: global.color,
            environment: environment)
        let context = CommandContext(
            output: output, progress: Progress(mode: global.quiet ? .none : global.progress, talk: output.talk),
            environment: environment, streams: streams, storeOption: global.store,
            jobs: global.jobs ?? Workers.processorCount, clock: clock, hooks: hooks)
        return finish(output, type(of: command).exitTable) { () throws(DFSError) in try command.execute(context) }
    }

    /// Runs `body` and writes out what it printed; both may fail.
    private func finish(
        _ output: Output, _ table: ExitCode.Table, _ body: () throws(DFSError) -> ExitCode
    ) -> ExitCode {
        do {
            let code = try body()
            try output.flush()
            return code
        } catch {
            Interruption.awaitEnd()
            if output.readerIsGone { return .brokenPipe }
            // What was printed before the failure is still data; a failure to write it is the lesser news.
            try? output.flush()
            let code = ExitCode(error.code, table)
            ErrorReport(error, exit: code).print(to: output)
            return code
        }
    }

    /// For what happens before options are parsed: the arguments are only looked through.
    private var early: Output {
        let options = arguments.prefix { $0 != "--" }
        let color = options.last { $0.hasPrefix("--color=") }.flatMap {
            Style.Choice(rawValue: String($0.dropFirst(8)))
        }
        return Output(
            streams: streams, format: options.contains("--json") ? .json : .text, quiet: false, color: color ?? .auto,
            environment: environment)
    }
}
