import Glibc

/// Decides what becomes of a signal that the launcher got while the job runs.
struct Interruptions {
    enum Action: Equatable {
        case nothing
        case forward
        case kill
    }

    /// Signals that ask for an end.
    static let stopping = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]

    /// Nanoseconds after an interruption within which another one counts with it.
    let grace: UInt64
    private var count = 0
    private var last: UInt64 = 0

    init(grace: UInt64) { self.grace = grace }

    /// `fromKernel`: a terminal's Ctrl-C, which the job has got too, being in the same process group.
    mutating func decide(_ signal: Int32, fromKernel: Bool, now: UInt64) -> Action {
        if signal == SIGCHLD { return .nothing }
        if signal == SIGINT || signal == SIGTERM {
            count = count > 0 && now - last <= grace ? count + 1 : 1
            last = now
            if count >= 3 { return .kill }
        }
        return fromKernel ? .nothing : .forward
    }
}
