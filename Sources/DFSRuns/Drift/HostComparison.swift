import DFSModel

/// Compares two host records (`dfs.host/1`) fact by fact, by `DriftRules`.
package struct HostComparison {
    private let severalGPUs: Bool
    private let oneMachine: Bool
    private var facts: [DriftFact] = []
    private var compared = 0

    /// `then` and `now`: whole records, as `HostRecord.value` and `RunDocuments.host(of:)` make them.
    package static func compare(then: JSONValue, now: JSONValue) -> DriftReport {
        func devices(_ record: JSONValue) -> Int { record["stable"]?["gpu"]?["devices"]?.array?.count ?? 0 }
        let machine = then["stable"]?["machine"]?.string
        var comparison = HostComparison(
            severalGPUs: max(devices(then), devices(now)) > 1,
            oneMachine: machine != nil && machine == now["stable"]?["machine"]?.string)
        for part in ["stable", "job"] { comparison.visit([part], then[part], now[part]) }
        return DriftReport(facts: comparison.facts, compared: comparison.compared)
    }

    private init(severalGPUs: Bool, oneMachine: Bool) {
        self.severalGPUs = severalGPUs
        self.oneMachine = oneMachine
    }

    /// What stands at a path.
    private enum Side {
        case value(JSONValue)
        /// It is not there, and that is known.
        case nothing(JSONValue)
        case unknown(JSONValue)

        init(_ value: JSONValue?, absenceIsKnown: Bool) {
            switch value {
            case nil where absenceIsKnown: self = .nothing(Fact.none("not there"))
            case nil, .null: self = .unknown(Fact.unknown("not recorded"))
            case let value?:
                guard let members = value.object, members.count == 1 else { self = .value(value); return }
                if let reason = members["unknown"]?.string {
                    // NVML's words for what a device does not have: MIG, ECC, NVLink.
                    self = reason == "Not Supported" ? .nothing(value) : .unknown(value)
                } else if members["none"]?.string != nil {
                    self = .nothing(value)
                } else {
                    self = .value(value)
                }
            }
        }

        var json: JSONValue {
            switch self {
            case .value(let json), .nothing(let json), .unknown(let json): json
            }
        }
    }

    private mutating func visit(_ path: [String], _ then: JSONValue?, _ now: JSONValue?) {
        let known = DriftRules.rule(for: path)
        let rule = known ?? DriftRules.fallback
        if rule.measure == .ignored { return }
        let a = Side(then, absenceIsKnown: rule.absenceIsKnown), b = Side(now, absenceIsKnown: rule.absenceIsKnown)
        switch (a, b) {
        case (.unknown, _), (_, .unknown): unknown(path, a, b, rule)
        case (.nothing, .nothing): compared += 1
        case (.value(let then), .value(let now)): values(path, then, now, rule, isKnown: known != nil)
        case (.value(let then), .nothing): oneSided(path, then, nil, b.json, rule)
        case (.nothing, .value(let now)): oneSided(path, nil, now, a.json, rule)
        }
    }

    private mutating func values(
        _ path: [String], _ then: JSONValue, _ now: JSONValue, _ rule: DriftRule, isKnown: Bool
    ) {
        if rule.measure == .members || rule.pattern.goesDown || !isKnown, descend(path, then, now) { return }
        compared += 1
        guard let found = FactMeasuring.difference(then, now, rule, severalGPUs: severalGPUs) else { return }
        add(path, .differs, found.driftClass, found.then, found.now, rule)
    }

    /// Looks at members or elements one by one; `false` when there are none.
    private mutating func descend(_ path: [String], _ then: JSONValue, _ now: JSONValue) -> Bool {
        if let a = then.object, let b = now.object {
            for name in Set(a.keys).union(b.keys).sorted() { visit(path + [name], a[name], b[name]) }
            return true
        }
        guard let a = then.array, let b = now.array, DriftRules.rule(for: path)?.measure == .members else {
            return false
        }
        for i in 0..<max(a.count, b.count) {
            // Not `nil`, which would be JSON's null.
            visit(path + [String(i)], i < a.count ? .some(a[i]) : .none, i < b.count ? .some(b[i]) : .none)
        }
        return true
    }

    /// A map of which one side has nothing is compared member by member, so that each is named with its class; what has
    /// classes of its own for being missing is one fact.
    private mutating func oneSided(
        _ path: [String], _ then: JSONValue?, _ now: JSONValue?, _ nothing: JSONValue, _ rule: DriftRule
    ) {
        let members = (then ?? now)?.object ?? [:]
        let isMap = !members.isEmpty && DriftRules.rule(for: path + ["*"])?.absenceIsKnown == true
        if rule.measure == .members, isMap, rule.missing == rule.difference, rule.added == rule.difference {
            for name in members.keys.sorted() { visit(path + [name], then?[name], now?[name]) }
            return
        }
        compared += 1
        add(
            path, .differs, rule.oneSided(isMissing: now == nil, severalGPUs: severalGPUs), then ?? nothing,
            now ?? nothing, rule)
    }

    /// The same ignorance on one machine says nothing of a difference, but is listed.
    private mutating func unknown(_ path: [String], _ a: Side, _ b: Side, _ rule: DriftRule) {
        compared += 1
        let isSame = oneMachine && a.json == b.json && !rule.mustBeKnown
        add(
            path, .notComparable, isSame ? .identical : rule.whenUnknown(severalGPUs: severalGPUs), a.json, b.json, rule
        )
    }

    private mutating func add(
        _ path: [String], _ state: DriftFact.State, _ driftClass: DriftClass, _ then: JSONValue, _ now: JSONValue,
        _ rule: DriftRule
    ) {
        facts.append(
            DriftFact(
                name: path.joined(separator: "."), state: state, driftClass: driftClass, then: then, now: now,
                reason: rule.reason, sources: rule.sources.map(\.url)))
    }
}
