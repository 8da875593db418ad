import DFSModel

/// What two runs logged under one name.
package struct MetricComparison: Sendable, Equatable {
    package let name: String
    /// `nil`: that run has no such metric.
    package let a, b: MetricSeries?

    /// Of the last values, b less a; `nil` where one is missing. Not a number where one of them is.
    package var delta: Double? {
        guard let a, let b else { return nil }
        return MetricSeries.areSame(a.last.value, b.last.value) ? 0 : b.last.value - a.last.value
    }

    /// Whether all that is kept of both agrees: how many values, the last, the least and the greatest.
    package var isSame: Bool { a == b }

    package var json: JSONValue {
        var members: [String: JSONValue] = ["metric": .string(name), "isSame": .bool(isSame)]
        if let a { members["a"] = a.json }
        if let b { members["b"] = b.json }
        if let delta { members["delta"] = MetricSeries.number(delta) }
        return .object(members)
    }

    static func all(_ a: RunMetrics, _ b: RunMetrics) -> [MetricComparison] {
        Set(a.series.keys).union(b.series.keys).sorted().map { name in
            MetricComparison(name: name, a: a.series[name], b: b.series[name])
        }
    }
}
