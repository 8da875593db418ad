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
    private var others: [Int: Int32?] = [:]

    init(_ meeting: RankMeeting) { self.meeting = meeting }

    func prepare(_ plan: inout EnterPlan) {
        plan.waits = true
        self.plan = plan
    }

    func ready(pid: Int32) {
        guard let plan else { return }
        held = []
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

    func firstEnded() { others = meeting.awaitOthers() }

    func ended() { held = [] }

    /// The first rank that did not end well.
    var failure: String? {
        for rank in others.keys.sorted() {
            switch others[rank] {
            case .some(.some(0)): continue
            case .some(.some(let code)): return "rank \(rank): exit \(code)"
            default: return "rank \(rank) never came, or died without a word"
            }
        }
        return nil
    }

    var summary: JSONValue {
        [
            "rank": .integer(Int64(meeting.rank.rank)), "count": .integer(Int64(meeting.rank.count)),
            "others": .array(
                others.keys.sorted().map { rank in
                    [
                        "rank": .integer(Int64(rank)),
                        "exit": (others[rank] ?? nil).map { .integer(Int64($0)) } ?? .null,
                    ]
                }),
        ]
    }

    var words: String? { "\(meeting.rank.count) ranks" }
}

extension RankMeeting {
    /// Tells the ranks that wait why there will be no run.
    func fail(_ error: DFSError) {
        var members: [String: JSONValue] = ["what": .string(error.what), "code": .string(error.code.rawValue)]
        if let cause = error.cause { members["cause"] = .string(cause) }
        if let hint = error.hint { members["hint"] = .string(hint) }
        try? replace("failed.json", .object(members))
    }
}
