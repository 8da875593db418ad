import DFSModel

/// Names of the environment variables that two runs were started with, and what is known of their values.
package struct EnvironmentComparison: Sendable, Equatable {
    package let onlyA, onlyB: [String]
    /// Set in both, to other values, as the recorded values or the hashes that stand for them say.
    package let changed: [Change]
    /// Set in both; of the values too little is recorded to compare them.
    package let unknown: Int

    /// A variable with other values; `nil` where only a hash of one is recorded.
    package struct Change: Sendable, Equatable {
        package let name: String
        package let a, b: String?

        var json: JSONValue {
            [
                "name": .string(name), "a": a.map { .string($0) } ?? .null, "b": b.map { .string($0) } ?? .null,
            ]
        }
    }

    package var isSame: Bool { onlyA.isEmpty && onlyB.isEmpty && changed.isEmpty }

    /// From the plans of two runs, and their texts, which hold the values that the project records.
    init(_ a: JSONValue, _ b: JSONValue, texts: ([String: JSONValue], [String: JSONValue])) {
        let (x, y) = (Self.names(a), Self.names(b))
        onlyA = x.subtracting(y).sorted()
        onlyB = y.subtracting(x).sorted()
        var changed = [Change]()
        var unknown = 0
        for name in x.intersection(y).sorted() {
            let (old, new) = (a["environment"]?[name], b["environment"]?[name])
            let values = (Self.value(name, old, texts.0), Self.value(name, new, texts.1))
            if let before = values.0, let after = values.1 {
                if before != after { changed.append(Change(name: name, a: before, b: after)) }
            } else if let before = old?["hmac"]?.string, let after = new?["hmac"]?.string {
                if before != after { changed.append(Change(name: name, a: values.0, b: values.1)) }
            } else {
                unknown += 1
            }
        }
        self.changed = changed
        self.unknown = unknown
    }

    private static func value(_ name: String, _ entry: JSONValue?, _ text: [String: JSONValue]) -> String? {
        entry?["value"]?.string ?? (entry?["text"]?.bool == true ? text["environment"]?[name]?.string : nil)
    }

    private static func names(_ plan: JSONValue) -> Set<String> {
        let listed = (plan["environment-names"]?.array ?? []).compactMap(\.string)
        return Set(listed).union((plan["environment"]?.object ?? [:]).keys).filter { !EnvironmentPolicy.isVolatile($0) }
    }

    package var json: JSONValue {
        func list(_ names: [String]) -> JSONValue { .array(names.map { .string($0) }) }
        return [
            "isSame": .bool(isSame), "onlyA": list(onlyA), "onlyB": list(onlyB), "changed": .array(changed.map(\.json)),
            "unknown": .integer(Int64(unknown)),
        ]
    }
}
