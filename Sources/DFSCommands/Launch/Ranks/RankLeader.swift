import DFSLaunch
import DFSModel
import DFSSystem
import Glibc

/// Shares the view of a run with the other ranks of its step, and waits for them.
final class RankLeader: RunWitness {
    let name = "ranks"

    private let meeting: RankMeeting
    private var plan: EnterPlan?
    /// The view's namespaces, held so that ranks which come when this one's job has ended still find them.
    private var held = [OwnedDescriptor]()
    private var ends: [Int: RankEnd] = [:]
    /// Since when others are waited for, monotonic nanoseconds.
    private var since: UInt64?

    /// Seconds that a rank which never came is waited for when the leader's own job has ended.
    private static let patience: UInt64 = 60

    init(_ meeting: RankMeeting) { self.meeting = meeting }

    func prepare(_ plan: inout EnterPlan) {
        plan.waits = true
        self.plan = plan
    }

    func ready(pid: Int32) {
        guard let plan else { return }
        do throws(DFSError) {
            if plan.namespace == .user { held.append(try OwnedDescriptor.open("/proc/\(pid)/ns/user", O_RDONLY)) }
            if plan.namespace != .none { held.append(try OwnedDescriptor.open("/proc/\(pid)/ns/mnt", O_RDONLY)) }
            let own = plan.environment.filter { $0.starts(with: "DFS_".utf8) }
            try meeting.replace(
                "ready.json",
                [
                    "namespaces": .array(held.map { .string("/proc/\(getpid())/fd/\($0.raw)") }),
                    "variables": .array(own.map { .string(NameText.encode($0)) }),
                    "directory": .string(NameText.encode(plan.workingDirectory.bytes)),
                ])
        } catch { meeting.fail(error) }
    }

    /// There is no job: those that wait are told at once.
    func failed(_ error: DFSError) { meeting.fail(error) }

    private var others: [Int] { (0..<meeting.rank.count).filter { $0 != meeting.rank.rank } }

    /// Who has not come yet does not come to a run that somebody has interrupted.
    func othersHaveEnded(isInterrupted: Bool) -> Bool {
        let now = Clock.monotonic()
        since = since ?? now
        let isLate = isInterrupted || now - (since ?? now) > Self.patience * 1_000_000_000
        for other in others where ends[other] == nil { ends[other] = meeting.end(of: other, isLate: isLate) }
        return ends.count == others.count
    }

    func ended() { held = [] }

    /// The first rank that did not end well.
    var failure: String? {
        for rank in others {
            switch ends[rank] {
            case nil: return "rank \(rank) had not ended"
            case let end?:
                guard let code = end.exit else { return "rank \(rank) never came, or died without a word" }
                if code != 0 { return "rank \(rank): exit \(code)" }
            }
        }
        return nil
    }

    var summary: JSONValue {
        [
            "rank": .integer(Int64(meeting.rank.rank)), "count": .integer(Int64(meeting.rank.count)),
            "others": .array(
                others.map { rank in
                    var members: [String: JSONValue] = [
                        "rank": .integer(Int64(rank)), "exit": ends[rank]?.exit.map { .integer(Int64($0)) } ?? .null,
                    ]
                    if let command = ends[rank]?.command { members["command"] = command }
                    return .object(members)
                }),
        ]
    }

    var words: String? { "\(meeting.rank.count) ranks" }
}
