import DFSModel

/// The variables of a run's environment: all names, and the values of those that are known to be harmless or that the project
/// names. Of all others there is a hash, by which a change shows.
package struct EnvironmentRecord: Sendable, Equatable {
    struct Variable: Sendable, Equatable {
        /// What the record says in clear.
        var value: String?
        /// Under the store's key; of a value that is not in the record itself.
        var hmac: Digest?
        /// Whether the value stands in the text of the run, which can be redacted, and not in its plan.
        var isInText = false
    }

    package enum Difference: String, Sendable {
        /// It was set then and is not now.
        case absent
        case different
        /// It was not set then.
        case added
        /// The record does not say enough to compare.
        case unknown
    }

    private(set) var variables: [String: Variable]
    /// Why values are neither recorded nor hashed.
    private(set) var failure: String?
    /// Values of this environment, where it is one that was just looked at: for comparing. They are never written.
    private var plain: [String: String] = [:]

    /// Of an environment as it is. `allowed` are the names that the project records; a value in which a secret is found is
    /// hashed whoever names it. Without a key there are names only.
    package static func make(
        _ variables: [String: String], allowed: some Collection<String>, key: EnvironmentKey?, failure: String? = nil
    ) -> EnvironmentRecord {
        let allowed = Set(allowed)
        var record = EnvironmentRecord(variables: [:], failure: key == nil ? failure ?? "the store has no key" : nil)
        record.plain = variables
        for (name, value) in variables {
            let isSecret = !secrets(name, value).isEmpty
            let isNamed = allowed.contains(name)
            var variable = Variable(hmac: key.map { $0.authenticate(name, Array(value.utf8)) })
            if !isSecret, isNamed {
                variable.value = value
                variable.isInText = true
            } else if !isSecret, EnvironmentPolicy.isShown(name) {
                variable = Variable(value: value)
            }
            record.variables[name] = variable
        }
        return record
    }

    /// What looks like a secret in a variable, which is read as a setting.
    package static func secrets(_ name: String, _ value: String) -> [SecretFinding] {
        let prefix = Array((name + "=").utf8)
        return SecretScanner.scan(prefix + Array(value.utf8), asSettings: true).filter {
            $0.range.lowerBound >= prefix.count
        }
    }

    // MARK: Stored form

    /// For the plan of a run: `{"value": …}`, `{"hmac": …}`, or `{"hmac": …, "text": true}` where the value is in its text.
    package var json: JSONValue {
        .object(
            variables.mapValues { variable in
                var members = [String: JSONValue]()
                if let value = variable.value, !variable.isInText { members["value"] = .string(value) }
                if let hmac = variable.hmac { members["hmac"] = .string(hmac.hex) }
                if variable.isInText { members["text"] = true }
                if members.isEmpty, let failure { members["unknown"] = .string(failure) }
                return .object(members)
            })
    }

    /// For the text of a run: the values that can be redacted.
    package var text: JSONValue {
        .object(variables.compactMapValues { $0.isInText ? $0.value.map { .string($0) } : nil })
    }

    /// Reads what `json` wrote; `text` is what `text` wrote, where it is still there.
    package init(json: JSONValue, text: JSONValue? = nil) {
        variables = [:]
        for (name, entry) in json.object ?? [:] {
            let isInText = entry["text"]?.bool ?? false
            variables[name] = Variable(
                value: entry["value"]?.string ?? (isInText ? text?[name]?.string : nil),
                hmac: entry["hmac"]?.string.flatMap { Digest(hex: $0) }, isInText: isInText)
            if let reason = entry["unknown"]?.string { failure = reason }
        }
    }

    private init(variables: [String: Variable], failure: String?) {
        self.variables = variables
        self.failure = failure
    }

    package var names: [String] { variables.keys.sorted() }

    /// Those whose values stand in the text of the run.
    package var namesInText: [String] { variables.filter(\.value.isInText).keys.sorted() }

    /// The value as recorded; `nil` where only its hash is.
    package func value(_ name: String) -> String? { variables[name]?.value }

    // MARK: Comparing

    /// How `now`, which `make` made, differs from what was recorded `then`, in order of names. What differs in each shell is
    /// left out.
    package static func differences(
        from then: EnvironmentRecord, to now: EnvironmentRecord
    ) -> [(name: String, kind: Difference)] {
        Set(then.variables.keys).union(now.variables.keys).filter { !EnvironmentPolicy.isVolatile($0) }.sorted()
            .compactMap {
                name in
                guard let before = then.variables[name] else { return (name, .added) }
                guard let after = now.variables[name] else { return (name, .absent) }
                return difference(before, after, plain: now.plain[name]).map { (name, $0) }
            }
    }

    private static func difference(_ before: Variable, _ after: Variable, plain: String?) -> Difference? {
        if let value = before.value, let present = after.value ?? plain {
            return value == present ? nil : .different
        }
        if let hash = before.hmac, let present = after.hmac { return hash == present ? nil : .different }
        return .unknown
    }
}
