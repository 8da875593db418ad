import DFSModel
import DFSSystem
import Glibc

/// A serving process as its supervisor sees it.
struct SupervisedServer {
    /// Milliseconds before something is done. A request that waits is given to another server, and after that to nobody: both
    /// together come before the kernel's own 20 seconds (`FuseServer.requestTimeout`), whose clock goes on.
    private enum Patience {
        static let stopped: UInt64 = 1000, silent: UInt64 = 5000, hurried: UInt64 = 500, starting: UInt64 = 12000
        static let request: UInt64 = 10000, resent: UInt64 = 8000
        static let dying: UInt64 = 2000, interval: UInt64 = 1000
    }

    enum Complaint {
        /// Another server may do better.
        case replace(String)
        /// Another one would do as badly: whoever waits must be let go.
        case giveUp(String)
    }

    let child: ChildProcess
    let line: OwnedDescriptor
    /// All times are those of the monotonic clock, in milliseconds.
    let started: UInt64
    /// When it first answered: it serves since.
    private(set) var servesSince: UInt64?
    private(set) var killed: (at: UInt64, reason: String)?
    private var stoppedAt: UInt64?
    private var askedAt: UInt64?
    private var isHurried = false
    private var lastAsked: UInt64 = 0
    private var heartbeat = Heartbeat()

    static func now() -> UInt64 { Clock.monotonic() / 1_000_000 }

    init(child: ChildProcess, line: OwnedDescriptor) {
        self.child = child
        self.line = line
        started = Self.now()
        ask()
    }

    mutating func ask() {
        let now = Self.now()
        guard askedAt == nil, isHurried || now - lastAsked >= Patience.interval else { return }
        (askedAt, lastAsked) = (now, now)
        Heartbeat.ask(line)
    }

    /// Somebody waits for this mount.
    mutating func hurry() {
        // What it said before is no answer to this.
        listen()
        isHurried = true
        ask()
    }

    /// Whether it has answered for somebody who waits.
    @discardableResult
    mutating func listen() -> Bool {
        var hasAnswered = false
        while let answer = Heartbeat.next(line) {
            heartbeat = answer
            askedAt = nil
            if isHurried { hasAnswered = true }
            isHurried = false
            if servesSince == nil { servesSince = Self.now() }
        }
        return hasAnswered
    }

    mutating func noteStopped(_ isStopped: Bool) { stoppedAt = isStopped ? stoppedAt ?? Self.now() : nil }

    mutating func kill(_ reason: String) {
        guard killed == nil else { return }
        killed = (Self.now(), reason)
        Glibc.kill(child.pid, SIGKILL)
    }

    /// Whether it was killed and does not end: one of its threads hangs in the kernel, and will never answer anything again.
    var isBeyondKilling: Bool { killed.map { Self.now() - $0.at >= Patience.dying } ?? false }

    /// Whether something may soon be wrong, so that it should be looked at more often.
    var isSuspicious: Bool { stoppedAt != nil || killed != nil || isHurried }

    var complaint: Complaint? {
        guard killed == nil else { return nil }
        let now = Self.now()
        if let stoppedAt, now - stoppedAt >= (isHurried ? Patience.hurried : Patience.stopped) {
            return .replace("it was stopped")
        }
        if let askedAt {
            let patience =
                servesSince == nil ? Patience.starting : isHurried ? Patience.hurried : Patience.silent
            if now - askedAt >= patience { return .replace("it did not answer for \(patience) ms") }
        }
        if heartbeat.oldestResent >= Patience.resent {
            return .giveUp("a request got no answer from two servers")
        }
        if heartbeat.oldest >= Patience.request { return .replace("a request waited for \(heartbeat.oldest) ms") }
        return nil
    }
}
