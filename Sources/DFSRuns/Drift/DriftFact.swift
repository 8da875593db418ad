import DFSModel

/// One fact that differs, or that cannot be compared.
package struct DriftFact: Sendable, Equatable {
    package enum State: String, Sendable, CaseIterable {
        case differs
        /// One side or both do not know it.
        case notComparable = "not comparable"
    }

    /// Members of the host record, joined by dots.
    package let name: String
    package let state: State
    package let driftClass: DriftClass
    /// Of a list whose order means nothing: what only this side has. `none` and `unknown` as in host records.
    package let then, now: JSONValue
    package let reason: String
    package let sources: [String]

    package var json: JSONValue {
        [
            "fact": .string(name), "state": .string(state.rawValue), "class": .string(driftClass.rawValue),
            "then": then,
            "now": now, "reason": .string(reason), "sources": .array(sources.map { .string($0) }),
        ]
    }
}
