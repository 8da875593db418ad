import DFSModel
import DFSRuns
import DFSSystem
import Testing

@Suite struct ValidationTests {
    private static let acc = [Tolerance(measure: "acc", value: 0.01)]

    private static func sample(_ value: Double?) -> ValidationSample {
        ValidationSample(run: RunID(.make()), values: value.map { ["acc": $0] } ?? [:])
    }

    private static func verdict(
        _ original: Double, base: [Double], code: [Double]? = nil, data: [Double]? = nil, both: [Double]? = nil,
        tolerances: [Tolerance] = acc
    ) -> ValidationVerdict {
        let cells: [(Bool, Bool, [Double]?)] = [
            (false, false, base), (true, false, code), (false, true, data), (true, true, both),
        ]
        var samples = [ValidationCell: [ValidationSample]]()
        for (newCode, newData, values) in cells {
            if let values {
                samples[ValidationCell(hasNewCode: newCode, hasNewData: newData)] = values.map { sample($0) }
            }
        }
        return ValidationVerdict(original: sample(original), samples: samples, tolerances: tolerances)
    }

    @Test func whatChangedIsNamed() {
        #expect(Self.verdict(0.9, base: [0.9, 0.9], data: [0.7, 0.7]).causes == [.data])
        #expect(Self.verdict(0.9, base: [0.9, 0.9], code: [0.8, 0.8]).causes == [.code])
        #expect(Self.verdict(0.9, base: [0.6, 0.6]).causes == [.machine])
        #expect(
            Self.verdict(0.9, base: [0.9, 0.9], code: [0.9, 0.9], data: [0.7, 0.7], both: [0.7, 0.7]).causes == [.data])
        #expect(
            Self.verdict(0.9, base: [0.9, 0.9], code: [0.9, 0.9], data: [0.9, 0.9], both: [0.5, 0.5]).causes
                == [.together])
    }

    @Test func whatIsToleratedConfirms() {
        let verdict = Self.verdict(0.9, base: [0.9, 0.9], data: [0.905, 0.905])
        #expect(verdict.outcome == .confirmed)
        #expect(verdict.effects.map(\.judgement) == [.same, .withinTolerance])
    }

    /// Random numbers of one distribution are put down to nothing, and without a wide tolerance nothing is confirmed.
    @Test func noiseIsInconclusive() {
        var generator = SplitMix(state: 7)
        func values() -> [Double] { (0..<2).map { _ in Double.random(in: 0...1, using: &generator) } }
        var outcomes = [ValidationVerdict.Outcome: Int]()
        for _ in 0..<1000 {
            let verdict = Self.verdict(
                values()[0], base: values(), data: values(), tolerances: [Tolerance(measure: "acc", value: 0)])
            outcomes[verdict.outcome, default: 0] += 1
        }
        #expect(outcomes[.confirmed] == nil)
        #expect((outcomes[.inconclusive] ?? 0) > 980, "\(outcomes)")
    }

    /// A change that is far greater than the noise is named in spite of it.
    @Test func aChangeBeyondTheNoiseIsNamed() {
        #expect(Self.verdict(0.9, base: [0.9, 0.9001], data: [0.5, 0.5001]).causes == [.data])
        // All values within the tolerance of each other: the noise does not matter.
        #expect(Self.verdict(0.9, base: [0.9, 0.903], data: [0.901, 0.905]).outcome == .confirmed)
        #expect(Self.verdict(0.9, base: [0.90, 0.93], data: [0.88, 0.91]).outcome == .inconclusive)
    }

    /// Values that agree by chance prove nothing where the job is not deterministic: a coarse accuracy beside a loss.
    @Test func coarseValuesOfANoisyJob() {
        func samples(_ acc: Double, _ losses: [Double]) -> [ValidationSample] {
            losses.map { ValidationSample(run: RunID(.make()), values: ["acc": acc, "loss": $0]) }
        }
        func outcome(_ repetitions: Int, noise: Double) -> ValidationVerdict.Outcome {
            let losses = (0..<repetitions).map { 0.5 + noise * Double($0) }
            return ValidationVerdict(
                original: samples(0.9, [0.5])[0],
                samples: [
                    .base: samples(0.9, losses),
                    ValidationCell(hasNewCode: false, hasNewData: true): samples(0.91, losses),
                ], tolerances: [Tolerance(measure: "acc", value: 0), Tolerance(measure: "loss", value: 1)]
            ).outcome
        }
        #expect(outcome(2, noise: 0) == .different)
        #expect(outcome(2, noise: 0.01) == .inconclusive)
        #expect(outcome(6, noise: 0.01) == .different)
    }

    @Test func whatIsNoNumberIsAResultToo() {
        #expect(Self.verdict(.nan, base: [.nan, .nan]).outcome == .confirmed)
        #expect(Self.verdict(0.9, base: [0.9, 0.9], code: [.nan, .nan]).causes == [.code])
        #expect(Self.verdict(0.9, base: [0.9, .nan]).outcome == .inconclusive)
    }

    @Test(arguments: ["acc", "=1", "acc=", "acc=-1", "acc=nan", "acc=x"]) func badTolerances(_ text: String) {
        #expect(throws: DFSError.self) { try Tolerance.parse(text) }
    }

    @Test func tolerancesAreRead() throws {
        #expect(try Tolerance.parse("val=acc=1e-3") == Tolerance(measure: "val=acc", value: 0.001))
    }

    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }
}
