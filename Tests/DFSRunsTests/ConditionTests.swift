import DFSModel
import DFSRuns
import Testing

/// `dfs runs --where`.
@Suite struct ConditionTests {
    private static let values: [String: RunValue] = [
        "acc": .number(0.9), "loss": .number(.nan), "status": .text("succeeded"), "seed": .number(7),
        "duration": .number(7300), "params.lr": .number(1e-3), "val/acc@5": .number(1), "model name": .text("it's"),
    ]

    private func holds(_ text: String) throws -> Bool {
        try RunCondition(text).holds { Self.values[$0] }
    }

    @Test(arguments: [
        "acc > 0.8", "acc>=.9", "acc = 0.9", "acc == 9e-1", "acc != 1", "acc < 1 and seed <= 7", "status = succeeded",
        "status = 'succeeded'", "status != failed", "duration > 2h", "duration < 3h and duration > 121min",
        "not acc > 0.95", "acc > 1 or status = succeeded", "params.lr < 1e-2", "params.lr = +0.001",
        "acc > 0.8 AND NOT (status = failed OR seed > 10)", "val/acc@5 = 1", "`model name` = \"it's\"",
        "loss = nan", "acc > -1.5", "acc < inf", "acc > -inf", "((acc > 0))",
        // or binds least, then and, then not.
        "acc > 0 or acc > 1 and acc > 2", "not acc > 1 and seed = 7",
        // What is not there is neither in nor out, and may be decided by the rest.
        "missing > 1 or acc > 0", "not (missing > 1 and acc > 1)",
    ])
    func accepts(text: String) throws { #expect(try holds(text)) }

    @Test(arguments: [
        "acc > 0.9", "status = failed", "missing > 1", "not missing > 1", "missing != 1", "loss > 0", "loss < 0",
        "loss != nan", "acc > 0 and missing = 1", "status > 3", "acc = high", "(acc > 0 or acc > 1) and acc > 2",
    ])
    func refuses(text: String) throws { #expect(try !holds(text)) }

    @Test(arguments: [
        ("", 1, "name"), ("acc", 4, "comparison"), ("acc >", 6, "number or a text"), ("acc > 0.9 seed", 11, "and, or"),
        ("acc >> 1", 6, "number or a text"), ("(acc > 1", 9, "parenthesis of character 1"), ("acc > 1)", 8, "and, or"),
        ("acc > 1 and", 12, "name"), ("acc ! 1", 5, "comparison"), ("acc > 1x", 7, "not a number"),
        ("acc > 'abc", 7, "does not end"), ("acc > 1.2.3", 7, "not a number"), ("> 1", 1, "name"),
        ("acc & 1", 5, "means nothing"), ("not", 4, "name"), ("acc > 5 km", 9, "and, or"), ("acc = = 1", 7, "number"),
    ])
    func mistakesAreToldWithTheirPlace(text: String, place: Int, words: String) throws {
        let error = #expect(throws: DFSError.self) { try RunCondition(text) }
        #expect(error?.code == .usage)
        #expect(error?.cause?.contains(words) == true, "\(error?.cause ?? "")")
        #expect(error?.cause?.hasSuffix("at character \(place)") == true, "\(error?.cause ?? "")")
    }

    @Test func deepConditionsEnd() throws {
        let deep = String(repeating: "(", count: 5000) + "acc > 1" + String(repeating: ")", count: 5000)
        #expect(throws: DFSError.self) { try RunCondition(deep) }
        #expect(throws: DFSError.self) { try RunCondition(String(repeating: "not ", count: 5000) + "acc > 1") }
        #expect(try RunCondition("a > 1 and b.max < 2 or not c = x").names == ["a", "b.max", "c"])
    }

    @Test func namesOfARun() throws {
        var reader = RunMetrics.Reader()
        reader.add(
            Array(
                "{\"acc\":0.5,\"status\":3,\"x\":1}\n{\"acc\":0.25}\n{\"params\":{\"lr\":1,\"x\":2,\"on\":true}}\n".utf8
            ))
        let values = RunValues(facts: ["status": .text("failed")], metrics: reader.end())
        #expect(values.value("acc") == .number(0.25) && values.value("acc.last") == .number(0.25))
        #expect(values.value("acc.max") == .number(0.5) && values.value("acc.min") == .number(0.25))
        #expect(values.value("status") == .text("failed") && values.value("metrics.status") == .number(3))
        #expect(values.value("x") == .number(1) && values.value("params.x") == .number(2))
        #expect(values.value("lr") == .number(1) && values.value("on") == .text("true"))
        #expect(values.value("seed") == nil && values.value("other") == nil)
    }
}
