import DFSModel

/// What one change did to one measure.
package struct ValidationEffect: Sendable, Equatable {
    /// To what a difference is put down.
    package enum Cause: String, Sendable, CaseIterable {
        /// The run here and now against the record of then: machine, driver, libraries, environment.
        case machine
        case code, data
        /// New code with new data does what neither does alone.
        case together = "code with data"
    }

    package enum Judgement: String, Sendable {
        case same
        case withinNoise = "within noise"
        case withinTolerance = "within tolerance"
        case beyondTolerance = "beyond tolerance"
    }

    package let cause: Cause
    package let measure: String
    package let difference: Double
    package let noise: Double
    /// Between the least and the greatest of all values that are compared.
    package let range: Double
    package let tolerance: Double

    /// What lies within the noise is put down to nothing, however small the tolerance; where no two values differ by more than
    /// is tolerated, it does not matter what the noise is.
    package var judgement: Judgement {
        if difference == 0, noise <= tolerance || range <= tolerance { return .same }
        if max(difference.magnitude, range) <= tolerance { return .withinTolerance }
        if difference.magnitude <= noise { return .withinNoise }
        return difference.magnitude <= tolerance ? .withinTolerance : .beyondTolerance
    }

    /// Noise and differences are greater than what is tolerated: whether the change did it cannot be told.
    package var isInconclusive: Bool { judgement == .withinNoise && noise > tolerance }

    package var json: JSONValue {
        [
            "cause": .string(cause.rawValue), "measure": .string(measure),
            "difference": MetricSeries.number(difference), "noise": MetricSeries.number(noise),
            "tolerance": MetricSeries.number(tolerance), "judgement": .string(judgement.rawValue),
        ]
    }
}
