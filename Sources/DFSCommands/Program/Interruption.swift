import DFSSystem
import Dispatch
import Glibc
import Synchronization

/// SIGINT, SIGTERM and SIGHUP end the process with 128 + N, after the cleanup hooks; a second one at once.
///
/// The store needs no cleanup: what was not acknowledged is garbage that nothing points at. Without hooks
/// there is no thread, and the handler itself ends the process.
enum Interruption {
    private static let pipeEnd = Atomic<Int32>(-1)
    private static let received = Atomic<Int>(0)
    private static let isEnding = Atomic<Bool>(false)

    /// Called by the main thread where it would report a failure: while hooks undo what it did, that is no news.
    static func awaitEnd() { while isEnding.load(ordering: .acquiring) { pause() } }

    /// Called once by the process's entry. A signal that was ignored from the start (nohup, background jobs) stays so.
    static func install(_ hooks: CleanupHooks) {
        // Made here, so that the handler never initialises anything.
        _ = pipeEnd.load(ordering: .relaxed) + Int32(received.load(ordering: .relaxed))
        _ = isEnding.load(ordering: .relaxed)
        _ = Talk.lineIsDrawn.load(ordering: .relaxed)
        hooks.onFirst { startThread(hooks) }
        for number in [SIGINT, SIGTERM, SIGHUP] {
            var old = sigaction()
            sigaction(number, nil, &old)
            if unsafeBitCast(old.__sigaction_handler.sa_handler, to: Int.self) == 1 { continue }  // SIG_IGN
            signal(number, handle)
        }
    }

    private static let handle: @convention(c) (Int32) -> Void = { number in
        let pipe = pipeEnd.load(ordering: .relaxed)
        var byte = UInt8(truncatingIfNeeded: number)
        if pipe >= 0, received.add(1, ordering: .relaxed).oldValue == 0, write(pipe, &byte, 1) == 1 { return }
        if Talk.lineIsDrawn.load(ordering: .relaxed) {
            let erase: StaticString = "\r\u{1b}[K"
            _ = write(STDERR_FILENO, erase.utf8Start, erase.utf8CodeUnitCount)
        }
        _exit(128 + number)
    }

    private static func startThread(_ hooks: CleanupHooks) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let source = OwnedDescriptor(adopting: ends[0])
        pipeEnd.store(ends[1], ordering: .relaxed)
        DispatchQueue(label: "dfs.interruption").async {
            var number: UInt8 = 0
            while read(source.raw, &number, 1) != 1 {
                if errno != EINTR { return }
            }
            isEnding.store(true, ordering: .releasing)
            hooks.run()
            _exit(128 + Int32(number))
        }
    }
}
