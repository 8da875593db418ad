import DFSModel

/// Compares two known values of a fact.
enum FactMeasuring {
    struct Difference {
        let driftClass: DriftClass
        let then, now: JSONValue
    }

    /// `nil`: they do not differ.
    static func difference(
        _ then: JSONValue, _ now: JSONValue, _ rule: DriftRule, severalGPUs: Bool
    ) -> Difference? {
        guard then != now else { return nil }
        let driftClass = rule.difference(severalGPUs: severalGPUs)
        let plain = Difference(driftClass: driftClass, then: then, now: now)
        func inClass(_ driftClass: DriftClass) -> Difference {
            Difference(driftClass: driftClass, then: then, now: now)
        }
        switch rule.measure {
        case .ignored: return nil
        case .equal, .members: return plain
        case .set: return lists(then, now, driftClass) { $0 }
        case .objects(let without):
            return lists(then, now, driftClass) { element in
                guard let members = element.object else { return element }
                return .object(members.filter { !without.contains($0.key) })
            }
        case .version(let parts, let beyond):
            guard let a = numbers(then), let b = numbers(now) else { return plain }
            return a.prefix(parts) == b.prefix(parts) && a.count >= parts ? inClass(beyond) : plain
        case .versionAtLeast(let below):
            guard let a = numbers(then)?.first, let b = numbers(now)?.first else { return plain }
            return b < a ? inClass(below) : plain
        case .atLeast(let percent, let otherwise):
            guard let a = then.double, let b = now.double else { return plain }
            return b * 100 < a * Double(percent) ? plain : inClass(otherwise)
        case .processors(let otherwise):
            guard let a = processors(then), let b = processors(now) else { return plain }
            return a == b ? inClass(otherwise) : plain
        }
    }

    /// What each list has more of than the other.
    private static func lists(
        _ then: JSONValue, _ now: JSONValue, _ driftClass: DriftClass, _ key: (JSONValue) -> JSONValue
    ) -> Difference? {
        guard let a = then.array, let b = now.array else {
            return Difference(driftClass: driftClass, then: then, now: now)
        }
        func rest(_ list: [JSONValue], without other: [JSONValue]) -> [JSONValue] {
            var left = other.map(key)
            return list.filter { element in
                guard let place = left.firstIndex(of: key(element)) else { return true }
                left.remove(at: place)
                return false
            }
        }
        let (gone, new) = (rest(a, without: b), rest(b, without: a))
        guard !gone.isEmpty || !new.isEmpty else { return nil }
        return Difference(
            driftClass: driftClass, then: Fact.list(gone, orNone: "nothing that is not there now"),
            now: Fact.list(new, orNone: "nothing that was not there then"))
    }

    /// The numbers at the front of `3.11.7` or `550.54.14`; `nil` where it does not begin with one.
    private static func numbers(_ value: JSONValue) -> [Int]? {
        guard let text = value.string else { return nil }
        var out = [Int]()
        for word in text.split(separator: ".", omittingEmptySubsequences: false) {
            guard let number = Int(word.prefix { $0.isASCII && $0.isNumber }) else { break }
            out.append(number)
        }
        return out.isEmpty ? nil : out
    }

    /// How many processors `0-15,32-47` are.
    private static func processors(_ value: JSONValue) -> Int? {
        guard let text = value.string else { return nil }
        var sum = 0
        for range in text.split(separator: ",") {
            let ends = range.split(separator: "-").map { Int($0) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, last >= first else {
                return nil
            }
            sum += last - first + 1
        }
        return sum
    }
}
