import DFSModel

/// What is kept of all the values that a run logged under one name.
package struct MetricSeries: Sendable, Equatable {
    /// A value and the `step` of its line, where that had one.
    package struct Point: Sendable, Equatable {
        package let value: Double
        package let step: Double?

        package static func == (a: Point, b: Point) -> Bool {
            MetricSeries.areSame(a.value, b.value) && a.step == b.step
        }
    }

    package private(set) var count = 0
    /// How many values were not a number.
    package private(set) var notNumbers = 0
    package private(set) var last: Point
    /// `nil` where no value was a number. Infinities count.
    package private(set) var minimum, maximum: Point?

    init(_ first: Point) {
        last = first
        add(first)
    }

    mutating func add(_ point: Point) {
        count += 1
        last = point
        if point.value.isNaN {
            notNumbers += 1
            return
        }
        if minimum.map({ point.value < $0.value }) ?? true { minimum = point }
        if maximum.map({ point.value > $0.value }) ?? true { maximum = point }
    }

    /// Whether two values are the same result: equal, or both not a number.
    package static func areSame(_ a: Double, _ b: Double) -> Bool { a == b || (a.isNaN && b.isNaN) }

    package var json: JSONValue {
        var members: [String: JSONValue] = ["count": .integer(Int64(count)), "last": Self.json(last)]
        if let minimum { members["min"] = Self.json(minimum) }
        if let maximum { members["max"] = Self.json(maximum) }
        if notNumbers > 0 { members["nan"] = .integer(Int64(notNumbers)) }
        return .object(members)
    }

    private static func json(_ point: Point) -> JSONValue {
        var members = ["value": number(point.value)]
        if let step = point.step { members["step"] = number(step) }
        return .object(members)
    }

    /// JSON has no word for what is not finite: `"NaN"`, `"Infinity"`, `"-Infinity"`.
    package static func number(_ value: Double) -> JSONValue {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "Infinity" : "-Infinity" }
        if let whole = Int64(exactly: value), whole.magnitude < 1 << 53 { return .integer(whole) }
        return .double(value)
    }
}
