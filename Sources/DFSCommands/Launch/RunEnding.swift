import DFSLaunch
import DFSLedger
import DFSModel
import DFSSystem
import Glibc

/// What a run's end is called, why it came, and who brought it about.
struct RunEnding: Equatable {
    /// Who.
    enum Actor: String {
        case job
        /// At the terminal.
        case user
        /// Another process, through dfs-run: `kill`, a scheduler.
        case sender
        case kernel
        case launcher
        case unknown
    }

    let outcome: RunOutcome
    let reason: String
    let actor: Actor

    var json: [String: JSONValue] { ["reason": .string(reason), "actor": .string(actor.rawValue)] }

    /// A job that somebody stopped is interrupted; one that failed by itself, or for want of memory, has failed, even with
    /// exit code 0.
    init(_ child: ChildResult) {
        let kills = Self.ownKills(child)
        switch child.ending {
        case .exited(let code):
            if kills > 0 {
                let processes = kills == 1 ? "a process" : "\(kills) processes"
                self.init(.failed, "exit \(code), but \(processes) of its control group ran out of memory", .kernel)
            } else if code > 128, let actor = Self.sender(of: code - 128, child) {
                self.init(.interrupted, "exit \(code) after \(Self.name(code - 128))", actor)
            } else {
                self.init(code == 0 ? .succeeded : .failed, "exit \(code)", .job)
            }
        case .signalled(let signal):
            if child.wasKilled {
                self.init(.interrupted, "killed after the third interruption", .user)
            } else if signal == SIGKILL, kills > 0 || child.memoryKills.map({ $0.count > 0 }) ?? false {
                self.init(.failed, "out of memory", .kernel)
            } else if let actor = Self.sender(of: signal, child) {
                self.init(.interrupted, Self.name(signal), actor)
            } else if Self.stopping.contains(signal) {
                self.init(.interrupted, Self.name(signal), .unknown)
            } else {
                self.init(.failed, Self.name(signal), .job)
            }
        }
    }

    /// A step has not succeeded where another of its ranks has not. `failure` says which; the rank whose end this is has been
    /// waiting for it.
    func heeding(_ failure: String?, late child: ChildResult) -> RunEnding {
        guard let failure else { return self }
        guard let signal = child.late.first else {
            return outcome == .succeeded ? RunEnding(.failed, failure, .job) : self
        }
        let words = "\(failure) after \(Self.name(signal))"
        guard outcome == .succeeded else { return RunEnding(outcome, "\(reason); \(words)", actor) }
        return RunEnding(.interrupted, words, child.interruptions.contains(signal) ? .user : .sender)
    }

    init(_ failure: EnterFailure) { self.init(.failed, "not started: \(failure.stage.rawValue)", .launcher) }

    private init(_ outcome: RunOutcome, _ reason: String, _ actor: Actor) {
        self.outcome = outcome
        self.reason = reason
        self.actor = actor
    }

    private static let stopping = [SIGKILL, SIGTERM, SIGINT, SIGHUP, SIGQUIT]

    /// Of the job's control group, which it may share.
    private static func ownKills(_ child: ChildResult) -> UInt64 {
        guard let kills = child.memoryKills, case .group = kills.scope else { return 0 }
        return kills.count
    }

    private static func sender(of signal: Int32, _ child: ChildResult) -> Actor? {
        if child.interruptions.contains(signal) { return .user }
        return child.forwarded.contains(signal) ? .sender : nil
    }

    private static func name(_ signal: Int32) -> String {
        let names: [Int32: String] = [
            SIGHUP: "SIGHUP", SIGINT: "SIGINT", SIGQUIT: "SIGQUIT", SIGILL: "SIGILL", SIGABRT: "SIGABRT",
            SIGBUS: "SIGBUS", SIGFPE: "SIGFPE", SIGKILL: "SIGKILL", SIGSEGV: "SIGSEGV", SIGPIPE: "SIGPIPE",
            SIGALRM: "SIGALRM", SIGTERM: "SIGTERM", SIGUSR1: "SIGUSR1", SIGUSR2: "SIGUSR2", SIGXCPU: "SIGXCPU",
            SIGXFSZ: "SIGXFSZ", SIGSYS: "SIGSYS", SIGTRAP: "SIGTRAP",
        ]
        return names[signal] ?? "signal \(signal)"
    }
}
