import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore
import DFSSystem
import Glibc

/// `dfs logs`: what a run printed.
struct Logs: DFSCommand {
    static let configuration = CommandConfiguration(commandName: "logs", abstract: "Show what a run printed.")

    @Argument(help: "The run.") var run: String
    @Flag(name: .shortAndLong, help: "Go on until the run ends.") var follow = false
    @Flag(help: "Only what it wrote to standard output.") var stdout = false
    @Flag(help: "Only what it wrote to standard error.") var stderr = false
    @Option(help: "Of a step of several processes: another rank than the one that started the run.") var rank: UInt?
    @OptionGroup(title: "Global options") var global: GlobalOptions

    /// Microseconds between two looks at files that grow.
    private static let pause: UInt32 = 100_000

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        context.closeDeadRuns(repository)
        let resolver = try context.resolver(repository)
        let id = try context.run(run, resolver).id
        var streams = [LogStream]()
        let prefix = rank.map { "rank-\($0)." } ?? ""
        if stdout || !stderr { streams.append(LogStream(prefix + "stdout")) }
        if stderr || !stdout { streams.append(LogStream(prefix + "stderr")) }
        while true {
            let run = try context.run("run:\(id)", try context.resolver(repository))
            for i in streams.indices { try copy(&streams[i], run, repository, context) }
            try context.output.flush()
            if run.end != nil || !follow { return .done }
            // A launcher that dies while it is followed ends the run too.
            if RunReaper(repository: repository).standing(of: id) == .dead { context.closeDeadRuns(repository) }
            usleep(Self.pause)
        }
    }

    /// Prints what was not printed before: from the sealed logs once there are any, else from the live files.
    private func copy(
        _ stream: inout LogStream, _ run: RunRecord, _ repository: Repository, _ context: CommandContext
    ) throws(DFSError) {
        // With both asked for, each goes where the job sent it.
        let name = stream.name
        let toError = name.hasSuffix("stderr") && stdout == stderr
        func emit(_ bytes: [UInt8]) throws(DFSError) {
            if context.output.format == .json {
                try context.output.object(
                    "dfs.logs/1", ["stream": .string(name), "text": .string(NameText.encode(bytes))])
            } else if toError {
                try context.output.flush()
                try Files.write(bytes, to: context.streams.error, what: "standard error")
            } else {
                try context.output.write(bytes)
            }
        }
        if let logs = run.end?.logs {
            let root = TreeEntry.root(logs, modified: run.time)
            guard let entry = try repository.reader.entry(at: [Array(name.utf8)], below: root) else {
                guard let rank else { return }
                throw DFSError(
                    .noReference, "run \(run.id.short) has no log of rank \(rank)",
                    cause: "the rank that started it has the run's own", hint: "dfs ls run:\(run.id.short)/logs")
            }
            let start = stream.position
            var position = start
            try FileBytes(repository.reader, entry).forEach(from: start) { piece throws(DFSError) in
                try emit(piece)
                position += UInt64(piece.count)
            }
            stream.position = position
        } else {
            let live = LiveRun(storeRoot: repository.root, run: run.id)
            try stream.readLive(live.logs + "/" + name, emit)
        }
    }
}

/// One of the two streams and how far it was printed.
private struct LogStream {
    let name: String
    var position: UInt64 = 0
    private var file: OwnedDescriptor?

    init(_ name: String) { self.name = name }

    mutating func readLive(_ path: String, _ emit: ([UInt8]) throws(DFSError) -> Void) throws(DFSError) {
        // The file stays open: when the run is sealed its name goes away, what was written in between does not.
        if file == nil { file = try? OwnedDescriptor.open(path, O_RDONLY | O_NOFOLLOW) }
        guard let file else { return }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let at = off_t(position)
            let count = try System.call("cannot read \(path)", fault: "read") {
                pread(file.raw, &buffer, buffer.count, at)
            }
            if count == 0 { return }
            try emit(Array(buffer[..<count]))
            position += UInt64(count)
        }
    }
}
