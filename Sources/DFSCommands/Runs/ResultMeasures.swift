import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore

/// Turns what runs left into numbers that can be compared.
final class ResultMeasures {
    private let repository: Repository
    /// Contents of outputs in the order in which they were met; the first is the original's.
    private var contents: [ContentDigest]

    init(repository: Repository, original: RunRecord) {
        self.repository = repository
        contents = (original.end?.outputs).map { [$0.content] } ?? []
    }

    func sample(of run: RunRecord) throws(DFSError) -> ValidationSample {
        var values = [String: Double]()
        for (name, series) in try RunMetrics.of(run, repository).series { values[name] = series.last.value }
        if let end = run.end {
            let record = try repository.objects.json(end.record.record, what: "the result of run \(run.id)")
            values[ValidationSample.exit] = (record["exit"]?.integer).map { Double($0) }
        }
        if let content = run.end?.outputs?.content {
            if !contents.contains(content) { contents.append(content) }
            values[ValidationSample.outputs] = contents.firstIndex(of: content).map { Double($0) }
        }
        return ValidationSample(run: run.id, values: values)
    }

    /// What is compared: that the job succeeds, and what is asked for; else every metric, or the outputs where there is none.
    func tolerances(
        _ asked: [Tolerance], in original: ValidationSample
    ) throws(DFSError) -> [Tolerance] {
        let own = [ValidationSample.exit, ValidationSample.outputs]
        let metrics = original.values.keys.filter { !own.contains($0) }.sorted()
        for tolerance in asked where original.values[tolerance.measure] == nil {
            throw DFSError(
                .noReference, "run \(original.run.short) has no metric \(tolerance.measure)",
                cause: metrics.isEmpty ? "it logged none" : "its metrics: \(metrics.joined(separator: ", "))",
                hint: "dfs show run:\(original.run.short)")
        }
        var names = Set<String>()
        for tolerance in asked where !names.insert(tolerance.measure).inserted {
            throw DFSError(
                .usage, "--tolerance gives \(tolerance.measure) twice", hint: "dfs validate --help")
        }
        let exit = names.contains(ValidationSample.exit) ? [] : [Tolerance(measure: ValidationSample.exit, value: 0)]
        if !asked.isEmpty { return exit + asked }
        return exit + (metrics.isEmpty ? [ValidationSample.outputs] : metrics).map { Tolerance(measure: $0, value: 0) }
    }
}
