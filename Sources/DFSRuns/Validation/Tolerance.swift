import DFSModel

/// By how much a measure may differ: `acc=0.01`.
package struct Tolerance: Sendable, Hashable {
    package let measure: String
    /// Absolute; not negative.
    package let value: Double

    package init(measure: String, value: Double) {
        self.measure = measure
        self.value = value
    }

    package static func parse(_ text: String) throws(DFSError) -> Tolerance {
        guard let equals = text.lastIndex(of: "="), equals != text.startIndex,
            let value = Double(String(text[text.index(after: equals)...])), value.isFinite, value >= 0
        else {
            throw DFSError(
                .usage, "--tolerance \(text) cannot be read", cause: "it is a metric and a number that is not negative",
                hint: "dfs validate RUN --tolerance acc=0.01")
        }
        return Tolerance(measure: String(text[..<equals]), value: value)
    }
}
