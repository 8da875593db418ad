import DFSModel

/// A condition on runs, such as `acc > 0.9 and not (status = failed or params.lr >= 1e-2)`.
///
/// A name is compared with a number or a text. A run that does not have what is named is neither in nor out: `not` does
/// not make it match, as in SQL.
package struct RunCondition: Sendable {
    package enum Comparison: Sendable, Equatable {
        case equal, unequal, less, lessOrEqual, greater, greaterOrEqual

        init?(_ text: String) {
            switch text {
            case "=", "==": self = .equal
            case "!=": self = .unequal
            case "<": self = .less
            case "<=": self = .lessOrEqual
            case ">": self = .greater
            case ">=": self = .greaterOrEqual
            default: return nil
            }
        }

        func holds(_ a: Double, _ b: Double) -> Bool {
            switch self {
            case .equal: MetricSeries.areSame(a, b)
            case .unequal: !MetricSeries.areSame(a, b)
            case .less: a < b
            case .lessOrEqual: a <= b
            case .greater: a > b
            case .greaterOrEqual: a >= b
            }
        }

        func holds(_ a: String, _ b: String) -> Bool {
            switch self {
            case .equal: a == b
            case .unequal: a != b
            case .less: a < b
            case .lessOrEqual: a <= b
            case .greater: a > b
            case .greaterOrEqual: a >= b
            }
        }
    }

    indirect enum Node: Sendable {
        case comparison(String, Comparison, RunValue)
        case not(Node)
        case and(Node, Node)
        case or(Node, Node)
    }

    private let node: Node
    /// All that is compared, in the order of the text.
    package let names: [String]

    package init(_ text: String, option: String = "--where") throws(DFSError) {
        var parser = try ConditionParser(text, option: option)
        node = try parser.parse()
        names = parser.names
    }

    /// Whether a run is meant, of which `value` tells what stands under a name.
    package func holds(_ value: (String) -> RunValue?) -> Bool { Self.holds(node, value) == true }

    /// `nil`: it cannot be said.
    private static func holds(_ node: Node, _ value: (String) -> RunValue?) -> Bool? {
        switch node {
        case .comparison(let name, let comparison, let literal):
            switch (value(name), literal) {
            case (.number(let a), .number(let b)): return comparison.holds(a, b)
            case (.text(let a), .text(let b)): return comparison.holds(a, b)
            default: return nil
            }
        case .not(let inner): return holds(inner, value).map { !$0 }
        case .and(let a, let b):
            let (a, b) = (holds(a, value), holds(b, value))
            return a == false || b == false ? false : a == nil || b == nil ? nil : true
        case .or(let a, let b):
            let (a, b) = (holds(a, value), holds(b, value))
            return a == true || b == true ? true : a == nil || b == nil ? nil : false
        }
    }
}

/// What stands under a name of a run.
package enum RunValue: Sendable, Equatable {
    case number(Double)
    case text(String)

    package var number: Double? { if case .number(let number) = self { number } else { nil } }
}
