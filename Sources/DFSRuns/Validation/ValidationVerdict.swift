import DFSModel

/// What came of a validation.
package struct ValidationVerdict: Sendable, Equatable {
    package let effects: [ValidationEffect]

    /// `original` is what the record of the run says, `samples` what each cell gave, each at least twice. A measure that a
    /// sample lacks is not a number there.
    package init(
        original: ValidationSample, samples: [ValidationCell: [ValidationSample]], tolerances: [Tolerance]
    ) {
        let cells = samples.keys.sorted()
        let isNoisy = samples.values.contains { repetitions in
            tolerances.contains { tolerance in
                Self.range(repetitions.map { $0.values[tolerance.measure] ?? .nan }) > 0
            }
        }
        effects = tolerances.flatMap { tolerance -> [ValidationEffect] in
            func value(_ sample: ValidationSample) -> Double { sample.values[tolerance.measure] ?? .nan }
            let values = samples.mapValues { $0.map(value) }
            func effect(_ cause: ValidationEffect.Cause, plus: [[Double]], minus: [[Double]]) -> ValidationEffect {
                let compared = plus + minus
                let others = cells.compactMap { values[$0] }.filter { !compared.contains($0) }
                return ValidationEffect(
                    cause: cause, measure: tolerance.measure, difference: Self.difference(plus, minus),
                    noise: NoiseBound.bound(compared, others: others, isNoisy: isNoisy),
                    range: Self.range(compared.flatMap(\.self)),
                    tolerance: tolerance.value)
            }
            func cell(_ code: Bool, _ data: Bool) -> [Double]? {
                values[ValidationCell(hasNewCode: code, hasNewData: data)]
            }
            guard let base = cell(false, false) else { return [] }
            var out = [effect(.machine, plus: [base], minus: [[value(original)]])]
            if let code = cell(true, false) { out.append(effect(.code, plus: [code], minus: [base])) }
            if let data = cell(false, true) { out.append(effect(.data, plus: [data], minus: [base])) }
            if let code = cell(true, false), let data = cell(false, true), let both = cell(true, true) {
                out.append(effect(.together, plus: [both, base], minus: [code, data]))
            }
            return out
        }
    }

    /// Infinite where some are numbers and others not.
    private static func range(_ values: [Double]) -> Double {
        if values.allSatisfy(\.isNaN) { return 0 }
        return values.contains(where: \.isNaN) ? .infinity : (values.max() ?? 0) - (values.min() ?? 0)
    }

    /// 0 where both sides are not numbers, infinite where one is.
    private static func difference(_ plus: [[Double]], _ minus: [[Double]]) -> Double {
        let (a, b) = (plus.map(NoiseBound.mean), minus.map(NoiseBound.mean))
        let (notA, notB) = (a.contains(where: \.isNaN), b.contains(where: \.isNaN))
        if notA || notB { return notA && notB ? 0 : .infinity }
        let (sumA, sumB) = (a.reduce(0, +), b.reduce(0, +))
        return sumA == sumB ? 0 : sumA - sumB
    }

    /// What moved a measure beyond its tolerance.
    package var causes: [ValidationEffect.Cause] {
        let found = Set(effects.filter { $0.judgement == .beyondTolerance }.map(\.cause))
        return ValidationEffect.Cause.allCases.filter(found.contains)
    }

    package enum Outcome: String, Sendable {
        case confirmed
        /// Beyond tolerance.
        case different
        case inconclusive
    }

    package var outcome: Outcome {
        if !causes.isEmpty { return .different }
        return effects.contains(where: \.isInconclusive) ? .inconclusive : .confirmed
    }

    /// One sentence for people.
    package var sentence: String {
        switch outcome {
        case .confirmed: "confirmed: nothing differs beyond what is tolerated"
        case .different: "different: " + causes.map(\.rawValue).joined(separator: ", ")
        case .inconclusive:
            "inconclusive: repetitions differ by more than is tolerated, so nothing can be put down to a change"
        }
    }

    package var json: JSONValue {
        [
            "outcome": .string(outcome.rawValue), "causes": .array(causes.map { .string($0.rawValue) }),
            "effects": .array(effects.map(\.json)),
        ]
    }
}
