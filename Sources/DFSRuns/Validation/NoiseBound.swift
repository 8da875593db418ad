import Glibc

/// How far apart two cells may lie by chance, as far as the repetitions tell.
///
/// A difference of means is taken for real only beyond what Student's t gives at 99.8 % (two-sided) with the standard
/// deviation pooled over all cells, and beyond the spread of each cell: with two repetitions of each that is a lot, with more
/// it shrinks. Where repetitions agree exactly, every difference is real.
package enum NoiseBound {
    /// Quantiles of Student's t at 0.999, by degrees of freedom (any table of the distribution); between two of them the
    /// greater value is taken.
    private static let quantiles: [(freedom: Int, t: Double)] = [
        (1, 318.31), (2, 22.327), (3, 10.215), (4, 7.173), (5, 5.893), (6, 5.208), (7, 4.785), (8, 4.501), (9, 4.297),
        (10, 4.144), (12, 3.930), (15, 3.733), (20, 3.552), (30, 3.385), (60, 3.232), (120, 3.160),
    ]

    /// For a sum of cells' means with coefficients 1 or -1. Each cell's values; `others` are cells that only help to
    /// estimate the deviation. Infinite where a cell holds both numbers and what is no number.
    ///
    /// `isNoisy`: something else that is measured differs between repetitions. Where this one does not, chance may have it
    /// so: two cells of n equal values each come apart by chance in 2 of C(2n, n) cases, which is less than 0.2 % from six on.
    package static func bound(_ compared: [[Double]], others: [[Double]], isNoisy: Bool = false) -> Double {
        let cells = compared + others
        guard compared.allSatisfy({ $0.allSatisfy(\.isFinite) }) else {
            return compared.allSatisfy { $0.allSatisfy(\.isFinite) || isUniform($0) } ? 0 : .infinity
        }
        let finite = cells.filter { $0.allSatisfy(\.isFinite) && $0.count > 1 }
        let freedom = finite.reduce(0) { $0 + $1.count - 1 }
        let squares = finite.reduce(0) { sum, values in
            let mean = mean(values)
            return sum + values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        }
        let spread = compared.map { ($0.max() ?? 0) - ($0.min() ?? 0) }.max() ?? 0
        guard freedom > 0, squares > 0 else {
            return isNoisy && compared.contains { $0.count < enough } ? .infinity : spread
        }
        let parts = compared.reduce(0) { $0 + 1 / Double($1.count) }
        return max(spread, quantile(freedom) * (squares / Double(freedom) * parts).squareRoot())
    }

    private static let enough = 6

    private static func quantile(_ freedom: Int) -> Double {
        (quantiles.last { $0.freedom <= freedom } ?? quantiles[0]).t
    }

    /// The mean as the first value and the mean of what the others differ by: exact where all are equal.
    package static func mean(_ values: [Double]) -> Double {
        guard let first = values.first else { return .nan }
        if isUniform(values) { return first }
        return first + values.reduce(0) { $0 + ($1 - first) } / Double(values.count)
    }

    private static func isUniform(_ values: [Double]) -> Bool {
        values.allSatisfy { MetricSeries.areSame($0, values.first ?? $0) }
    }
}
