import DFSModel

/// How two machines differ: every differing fact in its class, and the worst of them.
package struct DriftReport: Sendable, Equatable {
    package static let schema = "dfs.drift/1"

    /// The worst of the facts' classes.
    package let driftClass: DriftClass
    /// The worst first; those of one class in order of names.
    package let facts: [DriftFact]
    /// How many facts were looked at, those that agree among them.
    package let compared: Int

    init(facts: [DriftFact], compared: Int) {
        self.facts = facts.sorted { a, b in
            a.driftClass == b.driftClass ? a.name < b.name : a.driftClass > b.driftClass
        }
        self.compared = compared
        driftClass = facts.map(\.driftClass).max() ?? .identical
    }

    package func count(_ driftClass: DriftClass) -> Int { facts.count { $0.driftClass == driftClass } }

    /// All of it, but no more than `limit` facts; `count` says how many there are.
    package func json(limit: Int = .max) -> [String: JSONValue] {
        var counts = [String: JSONValue]()
        for driftClass in DriftClass.allCases where count(driftClass) > 0 {
            counts[driftClass.rawValue] = .integer(Int64(count(driftClass)))
        }
        return [
            "class": .string(driftClass.rawValue), "compared": .integer(Int64(compared)),
            "count": .integer(Int64(facts.count)), "counts": .object(counts),
            "facts": .array(facts.prefix(limit).map(\.json)),
        ]
    }

    /// `cross-numerics: 3 facts differ: stable.libc, …`, with the names of the worst.
    package var summary: String {
        guard driftClass != .identical else {
            let unknown = facts.isEmpty ? "" : ", \(Quantity.number(facts.count)) not known on either side"
            return "identical: \(Quantity.count(compared, "fact")) compared" + unknown
        }
        let worst = facts.filter { $0.driftClass == driftClass }.map(\.name)
        let more = worst.count > 3 ? " and \(worst.count - 3) more" : ""
        return "\(driftClass.rawValue): " + worst.prefix(3).joined(separator: ", ") + more
    }
}
