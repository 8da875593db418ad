import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore

/// What is known of runs by name: what conditions and orders of `dfs runs` ask for.
struct RunTable {
    let repository: Repository
    /// Without repetitions, in the order in which they were given.
    let names: [String]
    /// Whether plan, result and metrics are read in any case.
    let readsAll: Bool

    struct Line {
        let facts: RunFacts
        let metrics: RunMetrics
        let values: RunValues
        let named: [(name: String, value: RunValue?)]
        let exit, seed: Int64?
    }

    init(repository: Repository, names: [String], readsAll: Bool) {
        self.repository = repository
        self.names = names.enumerated().filter { names.firstIndex(of: $0.element) == $0.offset }.map(\.element)
        self.readsAll = readsAll
    }

    /// Whether nothing beyond the ledger is asked for.
    var isPlain: Bool { names.isEmpty && !readsAll }

    /// Reads of a run what the names need. What cannot be read has no value.
    func line(_ facts: RunFacts) throws(DFSError) -> Line {
        let run = facts.run
        func needs(_ name: String) -> Bool { readsAll || names.contains(name) }
        let metrics =
            readsAll || names.contains { !RunValues.isFact($0) }
            ? (try? RunMetrics.of(run, repository)) ?? RunMetrics() : RunMetrics()
        let plan = needs("seed") ? try? repository.objects.json(run.record.record, what: "the plan") : nil
        let end = needs("exit") ? run.end : nil
        let result = end.flatMap { try? repository.objects.json($0.record.record, what: "the result") }
        let (seed, exit) = (plan?["seed"]?.integer, result?["exit"]?.integer)
        var known: [String: RunValue] = [
            "status": .text(facts.status), "name": .text(RunName.of(run.id)), "project": .text(run.project),
            "snapshot": .text(run.snapshot), "duration": .number(Double(facts.milliseconds) / 1000),
        ]
        if let seed { known["seed"] = .number(Double(seed)) }
        if let exit { known["exit"] = .number(Double(exit)) }
        let values = RunValues(facts: known, metrics: metrics)
        return Line(
            facts: facts, metrics: metrics, values: values, named: names.map { ($0, values.value($0)) }, exit: exit,
            seed: seed)
    }

    /// Runs without the value, and those where it is not a number, come last; equal ones stay in their order.
    static func sorted(_ lines: [Line], by name: String, largestFirst: Bool) -> [Line] {
        func isBefore(_ a: RunValue?, _ b: RunValue?) -> Bool {
            switch (a, b) {
            case (.number(let x), .number(let y)):
                return x.isNaN ? false : y.isNaN ? true : largestFirst ? x > y : x < y
            case (.text(let x), .text(let y)): return largestFirst ? x > y : x < y
            case (.number, .text), (.number, nil), (.text, nil): return true
            case (.text, .number), (nil, _): return false
            }
        }
        let keyed = lines.enumerated().map {
            (place: $0.offset, value: $0.element.values.value(name), line: $0.element)
        }
        return keyed.sorted { a, b in
            if isBefore(a.value, b.value) { return true }
            return isBefore(b.value, a.value) ? false : a.place < b.place
        }.map(\.line)
    }
}
