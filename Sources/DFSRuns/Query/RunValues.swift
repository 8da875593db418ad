import DFSModel

/// What conditions and orders can name of a run.
///
/// `status`, `name`, `project`, `snapshot`, `seed`, `exit`, `duration` (seconds, until now for a run in progress);
/// `metrics.X`, its last value, with `X.min`, `X.max`, `X.last`; `params.X`. A bare `X` that is none of these is the
/// metric of that name, else the parameter.
package struct RunValues: Sendable {
    private let facts: [String: RunValue]
    private let metrics: RunMetrics

    package static let factNames = ["status", "name", "project", "snapshot", "seed", "exit", "duration"]

    package init(facts: [String: RunValue], metrics: RunMetrics) {
        self.facts = facts
        self.metrics = metrics
    }

    /// Whether a name can be answered without reading what the run logged.
    package static func isFact(_ name: String) -> Bool { factNames.contains(name) }

    package func value(_ name: String) -> RunValue? {
        if Self.isFact(name) { return facts[name] }
        if let rest = Self.rest(of: name, after: "metrics.") { return metric(rest) }
        if let rest = Self.rest(of: name, after: "params.") { return parameter(rest) }
        return metric(name) ?? parameter(name)
    }

    private static func rest(of name: String, after prefix: String) -> String? {
        name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : nil
    }

    private func metric(_ name: String) -> RunValue? {
        if let series = metrics.series[name] { return .number(series.last.value) }
        for (ending, point) in [
            (".last", { (s: MetricSeries) in Optional(s.last) }), (".min", { $0.minimum }), (".max", { $0.maximum }),
        ] where name.hasSuffix(ending) {
            guard let series = metrics.series[String(name.dropLast(ending.count))] else { continue }
            return point(series).map { .number($0.value) }
        }
        return nil
    }

    private func parameter(_ name: String) -> RunValue? {
        switch metrics.parameters[name] {
        case .integer(let value): .number(Double(value))
        case .double(let value): .number(value)
        case .string(let text): .text(text)
        case .bool(let value): .text(value ? "true" : "false")
        default: nil
        }
    }
}
