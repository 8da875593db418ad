/// The rules, of which the first that matches a fact holds. docs/DRIFT.md shows the same table.
package enum DriftRules {
    package static let all: [DriftRule] = parts + hardware + system + python + gpu + job

    /// For a fact that no rule knows: a record of a later version may hold it.
    package static let fallback = DriftRule(
        "**", .equal, .crossNumerics, "this version has no rule for the fact, and assumes that it matters")

    static func rule(for path: [String]) -> DriftRule? { all.first { $0.pattern.matches(path) } }

    private static let parts = [
        DriftRule("identity.**", .ignored, .identical, "names of host and user; `stable.machine` tells machines apart"),
        DriftRule("volatile.**", .ignored, .identical, "what differs at every moment"),
        DriftRule("stable", .members, .crossNumerics, "without this part nothing is known of the machine"),
        DriftRule("job", .members, .crossNumerics, "without this part nothing is known of limits and switches"),
    ]
}
