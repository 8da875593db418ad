import CLinux
import DFSLaunch
import DFSModel
import DFSRuns
import Glibc

/// The whole program: reads `arguments` (the program's name first), does what they say, returns the exit code.
///
/// `dfs` and `dfs-run` are this call; what a test wants to vary is in `Invocation`.
package func run(arguments: [String]) -> Int32 {
    // glibc would raise its limit to the largest block ever freed, and hold on to twice the memory that is in use.
    clinux_map_large_blocks(128 << 10)
    openStandardStreams()
    if arguments.count > 1, let hidden = HiddenCommands.table[arguments[1]] {
        return hidden(Array(arguments.dropFirst(2)))
    }
    // A reader that goes away is an error of the write (EPIPE), not the end of the process.
    signal(SIGPIPE, SIG_IGN)
    // A limit of file sizes is an error of the call (EFBIG), not an end in the middle of it.
    signal(SIGXFSZ, SIG_IGN)
    let hooks = CleanupHooks()
    Interruption.install(hooks)
    return Invocation(arguments: Array(arguments.dropFirst()), environment: .current(), hooks: hooks).run()
}

/// Opens what the caller has closed of the first three descriptors, before a file of a store gets their numbers. Standard
/// output cannot be written to then, so that an answer that goes nowhere is an error.
private func openStandardStreams() {
    for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) < 0 {
        _ = open("/dev/null", descriptor == STDOUT_FILENO ? O_RDONLY : O_RDWR)
    }
}

/// Commands that this program calls itself with. They run before anything is parsed or any thread is made.
enum HiddenCommands {
    static let table: [String: @Sendable ([String]) -> Int32] = [
        "__enter": { arguments in Enter.run(planFile: arguments.first ?? "") },
        "__nvml": { arguments in
            if arguments.count == 3, arguments[1] == "watch", let input = Int32(arguments[2]) {
                return NVMLWatch.serve(
                    library: arguments[0], input: input, output: STDOUT_FILENO,
                    environment: ProcessEnvironment.current().variables)
            }
            print(NVML.captureJSON(library: arguments.first ?? "libnvidia-ml.so.1").canonicalText)
            return 0
        },
        "__freeze": FreezeProcess.run(arguments:),
        "__history": MakeHistory.run(arguments:),
        "__keep": Keeper.run(arguments:),
        "__pump": { arguments in
            guard arguments.count == 2, let terminal = Int32(arguments[0]), let log = NameText.decode(arguments[1])
            else { return 64 }
            return LogPump.run(terminal: terminal, log: log)
        },
        "__seal": BackgroundSealing.run(arguments:),
        "__serve": Serve.run(arguments:),
        "__supervise": Supervise.run(arguments:),
    ]
}
