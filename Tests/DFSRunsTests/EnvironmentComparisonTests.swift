import DFSModel
import Testing

@testable import DFSRuns

@Suite struct EnvironmentComparisonTests {
    private func plan(_ variables: [String: JSONValue]) -> JSONValue {
        ["environment-names": .array(variables.keys.map { .string($0) }), "environment": .object(variables)]
    }

    @Test func namesAndWhatIsKnownOfValues() {
        let a = plan([
            "LR": ["hmac": "aa", "text": true], "MODE": ["value": "x"], "TOKEN": ["hmac": "11"], "SAME": ["hmac": "22"],
            "MIXED": ["value": "v"], "OLD": ["value": "1"], "NONE": ["unknown": "no key"], "DISPLAY": ["value": ":0"],
        ])
        let b = plan([
            "LR": ["hmac": "bb", "text": true], "MODE": ["value": "y"], "TOKEN": ["hmac": "12"], "SAME": ["hmac": "22"],
            "MIXED": ["hmac": "33"], "NEW": ["value": "1"], "NONE": ["unknown": "no key"], "DISPLAY": ["value": ":1"],
        ])
        let found = EnvironmentComparison(
            a, b, texts: (["environment": ["LR": "0.1"]], ["environment": ["LR": "0.2"]]))
        #expect(found.onlyA == ["OLD"] && found.onlyB == ["NEW"])
        #expect(
            found.changed == [
                .init(name: "LR", a: "0.1", b: "0.2"), .init(name: "MODE", a: "x", b: "y"),
                .init(name: "TOKEN", a: nil, b: nil),
            ])
        // Of these nothing can be said; a display is nobody's difference.
        #expect(found.unknown == 2 && !found.isSame)
        let itself = EnvironmentComparison(a, a, texts: ([:], [:]))
        #expect(itself.isSame && itself.unknown == 1)
        // Plans of earlier versions have names only.
        let names: JSONValue = ["environment-names": ["A", "B"]]
        let old = EnvironmentComparison(names, ["environment-names": ["A", "C"]], texts: ([:], [:]))
        #expect(old.onlyA == ["B"] && old.onlyB == ["C"] && old.unknown == 1)
    }
}
