import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem
import Glibc

/// Puts the environment of a run back where it was, as far as this machine has another one.
struct FrozenMounts: Sendable {
    private let environment: FrozenEnvironment
    private let plan: FrozenEnvironment.Plan

    /// How long an environment that is being frozen is waited for, seconds.
    private static let patience = 600

    /// `nil` where nothing has to be mounted. `say` is told why there is nothing to mount though the environment may differ, and
    /// what of it stays as it is here.
    init?(
        of run: RunRecord, within bounds: EnvironmentBounds, _ repository: Repository, threads: Int,
        say: (String) -> Void
    ) throws(DFSError) {
        switch try Self.find(run, repository, say) {
        case .environment(let environment):
            let plan = try environment.plan(within: bounds, threads: threads)
            Self.tell(of: environment, say)
            for it in plan.kept.prefix(3) { say("\(it.path) stays as it is here: \(it.reason)") }
            guard !plan.mounts.isEmpty else { return nil }
            self.environment = environment
            self.plan = plan
        case .absent(let absence):
            let reason =
                switch absence {
                case .beingFrozen: "it is still being frozen"
                case .notFrozen(let reason): reason ?? "it was not frozen"
                }
            say("the environment is this machine's, not that of run \(run.id.short): \(reason)")
            return nil
        }
    }

    private static func tell(of environment: FrozenEnvironment, _ say: (String) -> Void) {
        guard !environment.isComplete else { return }
        let gaps = environment.gaps
        let first = gaps.first.map { ": \($0.path) (\($0.reason))" } ?? ""
        let more = gaps.count > 1 ? " and \(gaps.count - 1) more" : ""
        say(
            "the environment of run \(environment.run.short) is incomplete\(first)\(more); there this machine's is used"
        )
    }

    /// Whether the job has the environment of the run, as far as that can be: then it need not be frozen again.
    var isWhole: Bool { environment.isComplete && !plan.keepsPython }

    /// Whether the job has the run's interpreter and packages, whatever this machine has.
    var givesPython: Bool { !plan.keepsPython && !environment.gaps.contains { !$0.isLibrary } }

    /// Where something of the environment is put over this machine's.
    var targets: [String] { plan.mounts.map(\.target) }

    private static func find(
        _ run: RunRecord, _ repository: Repository, _ say: (String) -> Void
    ) throws(DFSError) -> FrozenEnvironment.Found {
        // What was known when the run was looked up may be old: a validation launches for hours.
        var found = try FrozenEnvironment.of(try repository.state().run(run.id) ?? run, repository)
        let limit = Clock.monotonic() + UInt64(patience) * 1_000_000_000
        var isTold = false
        while case .absent(.beingFrozen) = found, run.end != nil, Clock.monotonic() < limit {
            if !isTold { say("waiting until the environment of run \(run.id.short) is frozen") }
            isTold = true
            usleep(200_000)
            found = try FrozenEnvironment.of(try repository.state().run(run.id) ?? run, repository)
        }
        return found
    }

    /// Records the environment as that of `run`, which gets it, too: it need not be frozen again.
    func adopt(by run: RunID, _ repository: Repository, _ signer: any Signer) throws(DFSError) {
        let origin = try repository.state().run(environment.run)
        guard let note = origin?.annotations.first(where: { $0.name == RunAnnotation.environment && $0.tree != nil })
        else { return }
        var record = environment.record.object ?? [:]
        record["source"] = .string(environment.run.description)
        try Annotation(repository: repository, run: run, name: RunAnnotation.environment).append(
            record, adopting: note, by: signer)
    }

    /// For the plan of the run that uses it.
    var json: JSONValue { plan.json.setting("run", .string(environment.run.description)) }

    var words: String {
        "\(Quantity.count(plan.mounts.count, "part")) of the environment as of run \(environment.run.short)"
    }

    /// `copy` gives a place outside a mount for what it is called with.
    func steps(history: String?, threads: Int) throws(DFSError) -> [EnterPlan.Step] {
        var steps = [EnterPlan.Step]()
        for mount in plan.mounts {
            let source: RawPath
            if let history {
                source = RawPath("\(history)/runs/\(environment.run)/env").appending(mount.place)
            } else {
                source = RawPath(try environment.copy(of: mount, threads: threads))
            }
            steps.append(.bind(source: source, at: RawPath(mount.target), .readOnly))
        }
        return steps
    }
}
