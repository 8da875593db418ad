import DFSHistory
import DFSLedger
import DFSModel
import DFSStore

/// Two runs side by side: what they were given, what they were run on, what they left.
package struct RunComparison: Sendable {
    package let a, b: RunSide
    /// What differs between the snapshots; `nil` where they are the same or cannot be read.
    package let code: TreeComparison?
    package let data: [InputComparison]
    package let environment: EnvironmentComparison
    /// `nil`: of one of the runs no host is recorded.
    package let host: DriftReport?
    package let metrics: [MetricComparison]
    /// `nil` where a run has not ended or its outputs cannot be read.
    package let outputs: TreeComparison?
    package let work: TreeComparison?
    /// Between the frozen environments; `nil` where one of them is missing.
    package let packages: TreeComparison?
    /// What could not be read.
    package let problems: [String]

    package static func make(
        _ a: RunRecord, _ b: RunRecord, _ repository: Repository
    ) throws(DFSError) -> RunComparison {
        RunComparison(RunSide(a, repository), RunSide(b, repository), try repository.state(), repository)
    }

    private init(_ a: RunSide, _ b: RunSide, _ state: LedgerState, _ repository: Repository) {
        self.a = a
        self.b = b
        var problems = a.problems + b.problems
        func trees(_ x: TreeReference?, _ y: TreeReference?) -> TreeComparison? {
            guard let x, let y else { return nil }
            do { return try TreeComparison(x, y, repository.reader) } catch {
                problems.append(error.what)
                return nil
            }
        }
        func snapshot(_ side: RunSide) -> TreeReference? {
            state.projects[side.run.project]?.snapshot(side.run.snapshot)?.tree
        }
        code = a.run.snapshot == b.run.snapshot ? nil : trees(snapshot(a), snapshot(b))
        data = InputComparison.all(a.run, b.run, state, repository.reader)
        environment = EnvironmentComparison(a.plan, b.plan, texts: (a.text, b.text))
        if let then = a.host, let now = b.host {
            host = HostComparison.compare(then: then, now: now)
        } else {
            host = nil
        }
        metrics = MetricComparison.all(a.metrics, b.metrics)
        outputs = trees(a.run.end?.outputs, b.run.end?.outputs)
        work = trees(a.run.end?.work, b.run.end?.work)
        packages = trees(a.run.environment, b.run.environment)
        self.problems = problems
    }

    // MARK: Verdicts

    package enum Aspect: String, Sendable, CaseIterable {
        case arguments, code, data, environment, packages, host, seed, parameters, metrics, outputs, work, exit
    }

    /// What differs. Times, use of resources and logs are never among it.
    package var differing: [Aspect] { Aspect.allCases.filter { !isSame($0) } }

    package func isSame(_ aspect: Aspect) -> Bool {
        switch aspect {
        case .arguments: a.arguments == b.arguments
        case .code: a.run.snapshot == b.run.snapshot
        case .data: data.allSatisfy(\.isSame)
        case .environment: environment.isSame
        case .host: host.map { $0.driftClass == .identical } ?? (a.host == nil && b.host == nil)
        // What only one of them has is the library of another program as often as a package.
        case .packages: packages.map { $0.count(.different) == 0 } ?? true
        case .seed: a.seed == b.seed
        case .parameters: a.metrics.parameters == b.metrics.parameters
        case .metrics: metrics.allSatisfy(\.isSame)
        case .outputs: outputs?.isSame ?? (a.run.end?.outputs == nil && b.run.end?.outputs == nil)
        case .work: work?.isSame ?? (a.run.end?.work == nil && b.run.end?.work == nil)
        case .exit: a.exit == b.exit && a.status == b.status
        }
    }

    /// Whether both left the same: outputs by digest (where there are none, working files), metrics to the last bit, exit code.
    package var isSameResult: Bool { isSame(result) && isSame(.metrics) && isSame(.exit) }

    /// Where a job that knows nothing of `DFS_OUTPUTS` leaves its results.
    package var result: Aspect {
        let sides = [a, b].compactMap(\.run.end?.outputs)
        return sides.contains { $0.files > 0 } ? .outputs : .work
    }

    /// Names of parameters that differ.
    package var differingParameters: [String] {
        Set(a.metrics.parameters.keys).union(b.metrics.parameters.keys)
            .filter { a.metrics.parameters[$0] != b.metrics.parameters[$0] }.sorted()
    }
}
