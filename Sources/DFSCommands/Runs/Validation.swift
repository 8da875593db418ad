import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore

/// A validation that is planned: its cells, what it measures, and what may differ.
struct Validation {
    private let recorded: RecordedRun
    private let newCode: RecordedCode?
    private let newData: [String]
    private let repetitions: Int
    private let repeating: RepeatOptions
    private let context: CommandContext
    private let repository: Repository
    private let original: ValidationSample
    private let measuring: ResultMeasures
    let cells: [ValidationCell]
    let tolerances: [Tolerance]

    init(
        recorded: RecordedRun, newCode: RecordedCode?, newData: [String], tolerances: [Tolerance], repetitions: Int,
        repeating: RepeatOptions, context: CommandContext, repository: Repository
    ) throws(DFSError) {
        let run = recorded.run
        guard let end = run.end else {
            throw DFSError(
                .refused, "run \(run.id.short) has not ended", cause: "there is no result to validate",
                hint: "dfs logs -f \(run.id.short)")
        }
        guard end.outcome == .succeeded else {
            throw DFSError(
                .refused, "run \(run.id.short) \(end.outcome.rawValue)", cause: "there is no result to validate",
                hint: "dfs show run:\(run.id.short)")
        }
        self.recorded = recorded
        self.newCode = newCode
        self.newData = newData
        self.repetitions = repetitions
        self.repeating = repeating
        self.context = context
        self.repository = repository
        measuring = ResultMeasures(repository: repository, original: run)
        original = try measuring.sample(of: run)
        self.tolerances = try measuring.tolerances(tolerances, in: original)
        cells = ValidationCell.all(newCode: newCode != nil, newData: !newData.isEmpty)
        // What cannot be launched is said before anything is recorded.
        for cell in cells { _ = try request(cell, repetition: 1, comparesMachine: false) }
    }

    private func request(
        _ cell: ValidationCell, repetition: Int, comparesMachine: Bool = true
    ) throws(DFSError) -> LaunchRequest {
        var changes = RecordedRun.Changes()
        if cell.hasNewCode { changes.code = newCode }
        if cell.hasNewData { changes.data = newData }
        (changes.environment, changes.ignored) = (repeating.env, repeating.ignoreEnv)
        var request = try recorded.request(changes, context, comparesMachine: comparesMachine)
        request.showsOutput = false
        request.note =
            "validation of run \(recorded.run.id.short): \(cell.description), \(repetition) of \(repetitions)"
        return request
    }

    /// What will be run and how long it will take, as far as the run that is validated tells.
    func announce() {
        let runs = cells.count * repetitions
        let each = RunFacts.make(recorded.run, repository, now: context.clock()).milliseconds
        context.output.say(
            "validation of run \(recorded.run.id.short): \(Quantity.count(runs, "run")), about "
                + "\(Quantity.duration(milliseconds: each)) each, \(Quantity.duration(milliseconds: each * Int64(runs))) in all"
                + " (\(Self.hours(each * Int64(runs))) h)")
        if let gpu = gpuMilliseconds, gpu > 0 {
            context.output.say("  about \(Self.hours(gpu * Int64(runs))) GPU-hours reserved")
        }
        for cell in cells { context.output.say("  \(cell.description): \(repetitions) times") }
        let limits = tolerances.map { "\($0.measure) \($0.value == 0 ? "exactly" : "within \($0.value)")" }
        context.output.say("  compared: \(limits.joined(separator: ", "))")
    }

    /// Of the run that is validated.
    private var gpuMilliseconds: Int64? {
        guard let end = recorded.run.end,
            let result = try? repository.objects.json(end.record.record, what: "the result of run \(recorded.run.id)")
        else { return nil }
        return result["usage"]?["gpu-time"]?["reserved_milliseconds"]?.integer
    }

    private static func hours(_ milliseconds: Int64) -> String {
        let thousandths = (milliseconds + 1800) / 3600
        let rest = String(thousandths % 1000)
        return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
    }

    /// Runs the cells, one repetition of all after another, and judges. The plan is in the ledger before the first begins.
    func run() throws(DFSError) -> ValidationReport {
        let signer = try context.signer()
        let run = recorded.run.id
        try Annotation(repository: repository, run: run, name: "validation").append(
            planRecord, text: context.identity(), by: signer)
        var samples = [ValidationCell: [ValidationSample]]()
        for repetition in 1...repetitions {
            for cell in cells {
                let launcher = RunLauncher(context: context, repository: repository)
                let launched = try launcher.launch(try request(cell, repetition: repetition))
                let state = try repository.state()
                guard let record = state.run(launched.run), record.end?.outcome != .interrupted else {
                    throw DFSError(
                        .interrupted, "the validation was interrupted", cause: "run \(launched.run.short) was",
                        hint: "dfs validate \(run.short)")
                }
                samples[cell, default: []].append(try measuring.sample(of: record))
            }
        }
        let verdict = ValidationVerdict(original: original, samples: samples, tolerances: tolerances)
        let report = ValidationReport(
            run: run, original: original, samples: samples, tolerances: tolerances, verdict: verdict)
        try Annotation(repository: repository, run: run, name: "verdict").append(report.record, by: signer)
        return report
    }

    var planRecord: [String: JSONValue] {
        [
            "cells": .array(cells.map { .string($0.description) }), "repetitions": .integer(Int64(repetitions)),
            "tolerances": ValidationReport.json(tolerances),
            "new-code": newCode.map { ["project": .string($0.project), "snapshot": .string($0.snapshot.id)] } ?? .null,
            "new-data": .array(newData.map { .string($0) }),
        ]
    }
}
