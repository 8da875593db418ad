import CLinux
import DFSModel
import DFSSystem
import Glibc

/// What the supervisor knows of the one process it watches.
struct Watch {
    let pid: Int32
    private(set) var mountNamespace: String?
    private(set) var failure: EnterFailure?
    private(set) var hasEnded = false
    private(set) var wasKilled = false

    private static let ready = EnterAnswer.ready.json.canonicalBytes + [UInt8(ascii: "\n")]

    private var interruptions: Interruptions
    private var forwarded = [Int32]()
    private var fromTerminal = [Int32]()
    private var late = [Int32]()
    private let memoryKills = MemoryKills.current()
    private var answer = [UInt8]()
    private var isAnswering = true
    /// Whether the entering process waits at its gate, or has passed it.
    private(set) var isReady = false
    private var started = Clock.now()
    private var ended = Clock.now()
    private var status: Int32 = 0
    private var usage = rusage()

    init(pid: Int32, grace: UInt64) {
        self.pid = pid
        interruptions = Interruptions(grace: grace)
    }

    /// Until a signal arrives, or `milliseconds` have passed.
    func pause(signals: Int32, milliseconds: Int32) {
        var set = pollfd(fd: signals, events: Int16(POLLIN), revents: 0)
        _ = poll(&set, 1, milliseconds)
    }

    /// Until a signal, SIGCHLD among them, or an answer arrives.
    func wait(signals: Int32, answer: Int32) {
        var set = [pollfd(fd: signals, events: Int16(POLLIN), revents: 0)]
        if isAnswering { set.append(pollfd(fd: answer, events: Int16(POLLIN), revents: 0)) }
        // EINTR is as good as an answer: the caller looks at everything.
        _ = poll(&set, nfds_t(set.count), -1)
    }

    /// Takes what the entering process has said; `true` once, when it has become the job.
    mutating func read(_ descriptor: Int32) -> Bool {
        while isAnswering {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                return false
            }
            answer += buffer.prefix(count)
            isReady = isReady || answer.starts(with: Self.ready)
            if count == 0 {
                isAnswering = false
                return parseAnswer()
            }
        }
        return false
    }

    private mutating func parseAnswer() -> Bool {
        for line in answer.split(separator: UInt8(ascii: "\n")) {
            guard let json = try? JSONValue.parse(Array(line)) else { continue }
            switch EnterAnswer(json: json) {
            case .ready: break
            case .entered(let namespace): mountNamespace = namespace
            case .failed(let failure): self.failure = failure
            case nil: break
            }
        }
        guard mountNamespace != nil, failure == nil else { return false }
        started = Clock.now()
        return true
    }

    mutating func act(on signal: Int32, fromKernel: Bool) {
        switch interruptions.decide(signal, fromKernel: fromKernel, now: Clock.monotonic()) {
        case .nothing:
            if fromKernel, signal != SIGCHLD { fromTerminal.append(signal) }
        case .forward:
            if kill(pid, signal) == 0 { forwarded.append(signal) }
        case .kill:
            wasKilled = true
            _ = kill(pid, SIGKILL)
        }
    }

    /// As `act`, when the process has ended and others are waited for: it is passed on to nobody.
    mutating func note(_ signal: Int32, fromKernel: Bool) {
        let action = interruptions.decide(signal, fromKernel: fromKernel, now: Clock.monotonic())
        guard Interruptions.stopping.contains(signal) else { return }
        if fromKernel { fromTerminal.append(signal) }
        late.append(signal)
        if action == .kill { wasKilled = true }
    }

    /// Whether the command was executed.
    var hasBegun: Bool { mountNamespace != nil && failure == nil }

    /// Whether somebody wants an end.
    var isInterrupted: Bool {
        wasKilled || (forwarded + fromTerminal + late).contains { Interruptions.stopping.contains($0) }
    }

    mutating func reap() throws(DFSError) {
        let got = try System.call("cannot wait for the job") { wait4(pid, &status, WNOHANG, &usage) }
        guard got == pid else { return }
        ended = Clock.now()
        hasEnded = true
    }

    /// `nil` before the end.
    func result(orphans: [Orphan]) -> ChildResult? {
        guard hasEnded else { return nil }
        let ending: ChildResult.Ending =
            clinux_wifsignaled(status) != 0
            ? .signalled(clinux_wtermsig(status)) : .exited(clinux_wexitstatus(status))
        return ChildResult(
            ending: ending, started: started, ended: ended, userMicroseconds: Self.microseconds(usage.ru_utime),
            systemMicroseconds: Self.microseconds(usage.ru_stime),
            maximumResidentBytes: Int64(usage.ru_maxrss) * 1024, forwarded: forwarded, wasKilled: wasKilled,
            orphans: orphans, interruptions: fromTerminal, late: late,
            memoryKills: MemoryKills.current()?.since(memoryKills))
    }

    private static func microseconds(_ time: timeval) -> Int64 { Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_usec) }
}
