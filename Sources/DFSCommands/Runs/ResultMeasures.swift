import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore

/// Turns what runs left into numbers that can be compared.
final class ResultMeasures {
    private let repository: Repository
    private let original: RunRecord
    /// By measure, contents in the order in which they were met; the first is the original's.
    private var contents: [String: [ContentDigest]] = [:]

    init(repository: Repository, original: RunRecord) {
        self.repository = repository
        self.original = original
    }

    private static let trees = [ValidationSample.outputs, ValidationSample.work]

    func sample(of run: RunRecord) throws(DFSError) -> ValidationSample {
        var values = [String: Double]()
        for (name, series) in try RunMetrics.of(run, repository).series { values[name] = series.last.value }
        if let end = run.end {
            let record = try repository.objects.json(end.record.record, what: "the result of run \(run.id)")
            values[ValidationSample.exit] = (record["exit"]?.integer).map { Double($0) }
        }
        for measure in Self.trees {
            guard let content = run.end?.tree(measure)?.content else { continue }
            let known = contents[measure] ?? []
            if !known.contains(content) { contents[measure] = known + [content] }
            values[measure] = contents[measure]?.firstIndex(of: content).map { Double($0) }
        }
        return ValidationSample(run: run.id, values: values)
    }

    /// What is compared: that the job succeeds, and what is asked for; else every metric; where there is none the
    /// outputs, or the working files.
    func tolerances(
        _ asked: [Tolerance], in sample: ValidationSample
    ) throws(DFSError) -> [Tolerance] {
        let own = [ValidationSample.exit] + Self.trees
        let metrics = sample.values.keys.filter { !own.contains($0) }.sorted()
        for tolerance in asked where sample.values[tolerance.measure] == nil {
            throw DFSError(
                .noReference, "run \(original.id.short) has no metric \(tolerance.measure)",
                cause: metrics.isEmpty ? "it logged none" : "its metrics: \(metrics.joined(separator: ", "))",
                hint: "dfs show run:\(original.id.short)")
        }
        var names = Set<String>()
        for tolerance in asked where !names.insert(tolerance.measure).inserted {
            throw DFSError(
                .usage, "--tolerance gives \(tolerance.measure) twice", hint: "dfs validate --help")
        }
        let exit = names.contains(ValidationSample.exit) ? [] : [Tolerance(measure: ValidationSample.exit, value: 0)]
        if !asked.isEmpty { return exit + asked }
        if !metrics.isEmpty { return exit + metrics.map { Tolerance(measure: $0, value: 0) } }
        guard let tree = Self.trees.first(where: { original.end?.tree($0).map { $0.files > 0 } ?? false }) else {
            throw DFSError(
                .refused, "run \(original.id.short) left nothing to compare",
                cause: "it logged no metrics, and wrote neither outputs nor working files",
                hint: "dfs show run:\(original.id.short)")
        }
        return exit + [Tolerance(measure: tree, value: 0)]
    }
}
