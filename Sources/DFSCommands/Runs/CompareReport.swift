import DFSLedger
import DFSModel
import DFSRuns

/// What `dfs compare` says.
struct CompareReport: Report {
    static let schema = "dfs.compare/1"

    let comparison: RunComparison
    private var a: RunSide { comparison.a }
    private var b: RunSide { comparison.b }

    // MARK: JSON

    var json: [String: JSONValue] {
        let c = comparison
        return [
            "a": Self.json(a), "b": Self.json(b),
            "differing": .array(c.differing.map { .string($0.rawValue) }), "isSameResult": .bool(c.isSameResult),
            "arguments": ["isSame": .bool(c.isSame(.arguments)), "a": a.arguments ?? .null, "b": b.arguments ?? .null],
            "code": [
                "isSame": .bool(c.isSame(.code)), "a": .string(a.run.snapshot), "b": .string(b.run.snapshot),
                "files": c.code?.json() ?? .null,
            ],
            "data": .array(c.data.map(\.json)), "environment": c.environment.json,
            "host": c.host.map { .object($0.json()) } ?? .null,
            "metrics": .array(c.metrics.map(\.json)),
            "parameters": .object(
                Dictionary(
                    uniqueKeysWithValues: c.differingParameters.map { name in
                        (
                            name,
                            [
                                "a": a.metrics.parameters[name] ?? .null, "b": b.metrics.parameters[name] ?? .null,
                            ] as JSONValue
                        )
                    })),
            "outputs": c.outputs?.json() ?? .null, "work": c.work?.json() ?? .null,
            "packages": c.packages?.json() ?? .null,
            "problems": .array(c.problems.map { .string($0) }),
        ]
    }

    private static func json(_ side: RunSide) -> JSONValue {
        func number(_ value: Int64?) -> JSONValue { value.map { .integer($0) } ?? .null }
        return [
            "run": .string(side.run.id.description), "name": .string(RunName.of(side.run.id)),
            "status": .string(side.status), "started": .string(side.run.time.description), "seed": number(side.seed),
            "exit": number(side.exit), "milliseconds": number(side.milliseconds),
            "processorMilliseconds": number(side.processorMilliseconds), "usage": side.result["usage"] ?? .null,
            "badMetricLines": .integer(Int64(side.metrics.badLines)),
        ]
    }

    // MARK: Table

    func print(to output: Output) throws(DFSError) {
        try output.list(rows)
        let differing = comparison.differing.map(\.rawValue)
        try output.line()
        try output.line(
            differing.isEmpty
                ? "no difference"
                : "different: " + differing.joined(separator: ", ")
                    + (comparison.isSameResult ? "; the results are the same" : ""))
    }

    private var rows: [CompareRow] {
        [run, same(.arguments, command(a), command(b))] + code + data + environment + packages + host
            + [same(.seed, text(a.seed), text(b.seed))] + parameters + metrics
            + [tree(.outputs, comparison.outputs, \.outputs), tree(.work, comparison.work, \.work)]
            + [same(.exit, exit(a), exit(b)), time, processor] + usage
    }

    private var run: CompareRow {
        func name(_ side: RunSide) -> String { "\(RunName.of(side.run.id)) (\(side.run.id.short))" }
        return CompareRow("run", name(a), name(b), nil)
    }

    private func same(_ aspect: RunComparison.Aspect, _ x: String, _ y: String, _ note: String = "") -> CompareRow {
        CompareRow(aspect.rawValue, x, y, !comparison.isSame(aspect), note)
    }

    private func text(_ value: Int64?) -> String { value.map(String.init) ?? "-" }

    private func command(_ side: RunSide) -> String {
        (side.arguments?.array ?? []).compactMap(\.string).map(ShellText.quote).joined(separator: " ")
    }

    private func exit(_ side: RunSide) -> String { side.status + (side.exit.map { " (\($0))" } ?? "") }

    private var code: [CompareRow] {
        func name(_ side: RunSide) -> String { "\(side.run.project)@\(side.run.snapshot.prefix(8))" }
        return [same(.code, name(a), name(b), comparison.code?.summary ?? "")]
    }

    private var data: [CompareRow] {
        comparison.data.map { input in
            func name(_ side: RunInput?) -> String { side.map { "\($0.dataset)@v\($0.version)" } ?? "-" }
            return CompareRow(
                "data/\(input.key)", name(input.a), name(input.b), !input.isSame, input.files?.summary ?? "")
        }
    }

    private var packages: [CompareRow] {
        func state(_ side: RunSide) -> String { side.run.environment == nil ? "not frozen" : "" }
        return [same(.packages, state(a), state(b), comparison.packages?.summary ?? "")]
    }

    private var environment: [CompareRow] {
        let environment = comparison.environment
        func names(_ list: [String]) -> String {
            list.isEmpty ? "" : list.prefix(4).joined(separator: " ") + (list.count > 4 ? " … (\(list.count))" : "")
        }
        var notes = environment.changed.isEmpty ? [] : ["other values: " + names(environment.changed.map(Self.words))]
        if environment.unknown > 0 {
            notes.append("\(Quantity.count(environment.unknown, "value")) not recorded")
        }
        func only(_ list: [String]) -> String { list.isEmpty ? "" : "only here: " + names(list) }
        return [
            same(
                .environment, only(environment.onlyA), only(environment.onlyB), notes.joined(separator: "; "))
        ]
    }

    private static func words(_ change: EnvironmentComparison.Change) -> String {
        guard let a = change.a, let b = change.b else { return change.name }
        return "\(change.name)=\(a) → \(b)"
    }

    private var host: [CompareRow] {
        guard let host = comparison.host else {
            return [CompareRow("host", a.host == nil ? "not recorded" : "", b.host == nil ? "not recorded" : "", nil)]
        }
        let worst = host.facts.first { $0.driftClass == host.driftClass && host.driftClass != .identical }
        return [
            same(
                .host, worst.map { DriftRow.text($0.then) } ?? "", worst.map { DriftRow.text($0.now) } ?? "",
                host.summary)
        ]
    }

    private var parameters: [CompareRow] {
        comparison.differingParameters.map { name in
            func value(_ side: RunSide) -> String { side.metrics.parameters[name].map(DriftRow.text) ?? "-" }
            return CompareRow("params.\(name)", value(a), value(b), true)
        }
    }

    private var metrics: [CompareRow] {
        comparison.metrics.map { metric in
            func last(_ series: MetricSeries?) -> String { series.map { MetricText.of($0.last.value) } ?? "-" }
            var notes = [String]()
            if let delta = metric.delta, delta != 0 { notes.append((delta > 0 ? "+" : "") + MetricText.of(delta)) }
            if let x = metric.a, let y = metric.b, x.minimum != y.minimum || x.maximum != y.maximum {
                notes.append("\(Self.range(x)) and \(Self.range(y))")
            }
            if let x = metric.a, let y = metric.b, x.count != y.count {
                notes.append("\(Quantity.number(x.count)) and \(Quantity.number(y.count)) values")
            }
            return CompareRow(
                metric.name, last(metric.a), last(metric.b), !metric.isSame, notes.joined(separator: "; "))
        }
    }

    private static func range(_ series: MetricSeries) -> String {
        guard let least = series.minimum, let most = series.maximum else { return "-" }
        return least.value == most.value
            ? MetricText.of(least.value) : "\(MetricText.of(least.value))…\(MetricText.of(most.value))"
    }

    private func tree(
        _ aspect: RunComparison.Aspect, _ found: TreeComparison?, _ tree: (RunEnd) -> TreeReference?
    ) -> CompareRow {
        func size(_ side: RunSide) -> String {
            side.run.end.flatMap(tree).map { "\(Quantity.count($0.files, "file")), \(ByteCount($0.bytes))" } ?? "-"
        }
        return same(aspect, size(a), size(b), found?.summary ?? "")
    }

    private var time: CompareRow {
        func duration(_ side: RunSide) -> String {
            side.milliseconds.map { Quantity.duration(milliseconds: $0) } ?? "-"
        }
        return CompareRow("time", duration(a), duration(b), nil)
    }

    private var processor: CompareRow {
        func duration(_ side: RunSide) -> String {
            side.processorMilliseconds.map { Quantity.duration(milliseconds: $0) } ?? "-"
        }
        return CompareRow("cpu time", duration(a), duration(b), nil)
    }

    /// Of GPUs, where their use was recorded.
    private var usage: [CompareRow] {
        func hours(_ side: RunSide) -> String { GPUHours.of(side.result) ?? "-" }
        return hours(a) == "-" && hours(b) == "-" ? [] : [CompareRow("GPU hours", hours(a), hours(b), nil)]
    }
}
