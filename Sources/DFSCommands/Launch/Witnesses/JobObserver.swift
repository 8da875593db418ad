import DFSLaunch
import DFSModel
import DFSSystem
import Glibc

/// Looks at the processes of one job from time to time, on a thread of its own with little priority.
///
/// Lookers are added before `begin`. They are called by that thread alone, then, after `end`, may be asked by others.
final class JobObserver: @unchecked Sendable {
    /// Looks, and says when it wants to look again, both in milliseconds since the start.
    typealias Look = (_ milliseconds: Int64, _ processes: [Int32]) -> Int64

    // Owned by the caller until `begin`, by the thread until `end` has returned.
    private var looks = [(due: Int64, look: Look)]()
    private var members: JobMembers?
    private var start: UInt64 = 0
    private var ticker: Ticker?
    private(set) var began: Timestamp?

    /// The first look is `due` milliseconds after the start.
    func add(due: Int64, _ look: @escaping Look) { looks.append((due, look)) }

    func begin(pid: Int32, mountNamespace: String) {
        start = Clock.monotonic()
        began = Clock.now()
        let others = JobMembers.children().subtracting([pid])
        members = JobMembers(root: pid, namespace: mountNamespace, others: others)
        ticker = Ticker.start { [self] in tick() }
    }

    /// No look is running or will begin when this returns.
    func end() {
        ticker?.cancel()
        ticker = nil
    }

    /// Since the start; 0 before.
    var milliseconds: Int64 { start == 0 ? 0 : Int64((Clock.monotonic() - start) / 1_000_000) }

    private func tick() -> Int {
        if looks.isEmpty { return 60_000 }
        // On Linux this is about the calling thread only.
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
        let now = milliseconds
        if let members, looks.contains(where: { $0.due <= now }) {
            let processes = members.living()
            for i in looks.indices where looks[i].due <= now { looks[i].due = looks[i].look(now, processes) }
        }
        let next = looks.map(\.due).min() ?? now
        return Int(max(1, next - milliseconds))
    }
}
