/// One corner of a validation: old or new code with old or new data, on this machine.
package struct ValidationCell: Sendable, Hashable, Comparable {
    package let hasNewCode: Bool
    package let hasNewData: Bool

    package init(hasNewCode: Bool, hasNewData: Bool) {
        self.hasNewCode = hasNewCode
        self.hasNewData = hasNewData
    }

    /// What was run then, run here and now.
    package static let base = ValidationCell(hasNewCode: false, hasNewData: false)

    /// Those that a validation with new code, new data, both or neither runs; the base first.
    package static func all(newCode: Bool, newData: Bool) -> [ValidationCell] {
        (newCode ? [false, true] : [false]).flatMap { code in
            (newData ? [false, true] : [false]).map { ValidationCell(hasNewCode: code, hasNewData: $0) }
        }.sorted()
    }

    /// `old code, new data`
    package var description: String {
        "\(hasNewCode ? "new" : "old") code, \(hasNewData ? "new" : "old") data"
    }

    private var rank: Int { (hasNewCode ? 2 : 0) + (hasNewData ? 1 : 0) }

    package static func < (a: ValidationCell, b: ValidationCell) -> Bool { a.rank < b.rank }
}
