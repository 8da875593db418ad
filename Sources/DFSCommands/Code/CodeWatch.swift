import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel
import DFSSystem
import Dispatch
import Glibc

/// `dfs code watch`: records a project's code whenever it has changed and come to rest.
struct CodeWatch: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Record a project's code whenever it changes, until interrupted.")

    @OptionGroup var capture: CaptureArguments
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        try SpokenSecrets.refuse(reason: capture.allowSecrets, command: "dfs code watch")
        let directory = try context.directory(capture.path)
        let repository = try context.repository(creating: true)
        let project = try context.projectCapture(directory, repository, allowSecrets: capture.allowSecrets)
        let stop = try StopSignal()
        let watcher = CodeWatcher(
            context: context, repository: repository, capture: project, start: directory, signer: try context.signer(),
            stop: stop.descriptor)
        // What is being captured is recorded or given up before the program ends.
        return try context.undoing({ stop.request() }) { () throws(DFSError) in
            defer { stop.done() }
            try watcher.run()
            return .done
        }
    }
}

/// Ends a loop from the thread that handles signals, and the program once the loop has ended.
private final class StopSignal: Sendable {
    let descriptor: Int32
    private let writing: Int32
    private let ended = DispatchSemaphore(value: 0)

    init() throws(DFSError) {
        var ends: [Int32] = [-1, -1]
        try System.call("cannot make a pipe", fault: "pipe") { pipe(&ends) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (descriptor, writing) = (ends[0], ends[1])
    }

    /// To be interrupted is how a watch ends: that is success.
    func request() {
        var byte: UInt8 = 0
        _ = write(writing, &byte, 1)
        ended.wait()
        _exit(0)
    }

    func done() { ended.signal() }
}
