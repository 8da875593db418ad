/// What it means when a fact differs.
package struct DriftRule: Sendable {
    /// How two values are compared, and what it takes for them to differ.
    package enum Measure: Sendable, Equatable {
        /// By nothing: the fact is expected to differ.
        case ignored
        case equal
        /// Member by member, element by element, by the rules of the members.
        case members
        /// A list whose order means nothing.
        case set
        /// A list of objects whose order means nothing, without these members.
        case objects(without: [String])
        /// A version: the first `parts` numbers decide; where only later ones differ the class is `beyond`.
        case version(parts: Int, beyond: DriftClass)
        /// A version: a lower first number is `below`, any other difference the rule's class.
        case versionAtLeast(below: DriftClass)
        /// A number: less than `percent` of it is the rule's class, any other difference `otherwise`.
        case atLeast(percent: Int64, otherwise: DriftClass)
        /// A list of processors such as `0-15,32`: how many decide; other ones as many are `otherwise`.
        case processors(otherwise: DriftClass)
    }

    package let pattern: FactPattern
    package let measure: Measure
    /// When it differs.
    package let difference: DriftClass
    /// When the run had it and this machine does not, and the other way round.
    package let missing, added: DriftClass
    /// When it differs and neither machine has more than one GPU.
    package let withOneGPU: DriftClass
    /// Whether a member that a record does not have is known not to be there. Otherwise it was not recorded.
    package let absenceIsKnown: Bool
    /// Whether the same ignorance on both sides still counts, also on one machine.
    package let mustBeKnown: Bool
    package let reason: String
    package let sources: [DriftSource]

    init(
        _ pattern: String, _ measure: Measure = .equal, _ difference: DriftClass, missing: DriftClass? = nil,
        added: DriftClass? = nil, withOneGPU: DriftClass? = nil, absenceIsKnown: Bool = false,
        mustBeKnown: Bool = false,
        _ reason: String, _ sources: [DriftSource] = []
    ) {
        self.pattern = FactPattern(pattern)
        self.measure = measure
        self.difference = difference
        self.missing = missing ?? difference
        self.added = added ?? difference
        self.withOneGPU = withOneGPU ?? difference
        self.absenceIsKnown = absenceIsKnown
        self.mustBeKnown = mustBeKnown
        self.reason = reason
        self.sources = sources
    }

    package func difference(severalGPUs: Bool) -> DriftClass { severalGPUs ? difference : withOneGPU }

    /// Of what only one side has: the run's, or this machine's.
    func oneSided(isMissing: Bool, severalGPUs: Bool) -> DriftClass {
        let own = isMissing ? missing : added
        return own == difference ? difference(severalGPUs: severalGPUs) : own
    }

    /// What is not known cannot be said to be incompatible.
    func whenUnknown(severalGPUs: Bool) -> DriftClass {
        measure == .ignored ? .identical : min(difference(severalGPUs: severalGPUs), .crossNumerics)
    }
}
