import DFSModel
import DFSRuns

/// What `dfs validate` found.
struct ValidationReport: Report {
    static let schema = "dfs.validate/1"

    let run: RunID
    let original: ValidationSample
    let samples: [ValidationCell: [ValidationSample]]
    let tolerances: [Tolerance]
    let verdict: ValidationVerdict

    static func json(_ tolerances: [Tolerance]) -> JSONValue {
        .object(Dictionary(tolerances.map { ($0.measure, MetricSeries.number($0.value)) }) { first, _ in first })
    }

    /// As it enters the ledger.
    var record: [String: JSONValue] {
        func json(_ sample: ValidationSample) -> JSONValue {
            ["run": .string(sample.run.description), "values": .object(sample.values.mapValues(MetricSeries.number))]
        }
        return [
            "tolerances": Self.json(tolerances), "original": json(original), "verdict": verdict.json,
            "cells": .array(
                samples.keys.sorted().map { cell in
                    ["cell": .string(cell.description), "samples": .array((samples[cell] ?? []).map(json))]
                }),
        ]
    }

    var json: [String: JSONValue] { record.merging(["run": .string(run.description)]) { $1 } }

    func print(to output: Output) throws(DFSError) {
        try output.list(
            tolerances.flatMap { tolerance in
                [CellRow(measure: tolerance.measure, cell: "as recorded", values: [original.values[tolerance.measure]])]
                    + samples.keys.sorted().map { cell in
                        CellRow(
                            measure: tolerance.measure, cell: cell.description,
                            values: (samples[cell] ?? []).map { $0.values[tolerance.measure] })
                    }
            })
        try output.line()
        try output.list(verdict.effects.map(EffectRow.init))
        try output.line()
        try output.line(verdict.sentence)
    }

    static func text(_ value: Double?) -> String { value.map { MetricText.of($0) } ?? "none" }
}

private struct CellRow: Row {
    static let schema = "dfs.validate.cell/1"
    static let columns = [Column("measure"), Column("cell"), Column("values")]

    let measure, cell: String
    let values: [Double?]

    var json: [String: JSONValue] { [:] }
    var cells: [Cell] {
        [.text(measure), .text(cell), .text(values.map(ValidationReport.text).joined(separator: "  "))]
    }
}

private struct EffectRow: Row {
    static let schema = "dfs.validate.effect/1"
    static let columns = [
        Column("change"), Column("measure"), Column("difference", .right), Column("noise", .right),
        Column("tolerance", .right), Column("judgement"),
    ]

    let effect: ValidationEffect

    var json: [String: JSONValue] { effect.json.object ?? [:] }
    var cells: [Cell] {
        [
            .text(effect.cause.rawValue), .text(effect.measure), .text(ValidationReport.text(effect.difference)),
            .text(ValidationReport.text(effect.noise)), .text(ValidationReport.text(effect.tolerance)),
            .text(effect.judgement.rawValue),
        ]
    }
}
