/// Colours, or none.
package struct Style: Sendable {
    package enum Choice: String, Sendable, CaseIterable { case auto, always, never }

    /// What a text is; the colour follows.
    package enum Role: Sendable { case plain, strong, dim, good, bad, warning, accent }

    package let isColored: Bool

    package init(isColored: Bool) { self.isColored = isColored }

    /// `auto` is colour on a terminal that can, unless `NO_COLOR` is set.
    package init(_ choice: Choice, isTerminal: Bool, environment: ProcessEnvironment) {
        isColored =
            switch choice {
            case .always: true
            case .never: false
            case .auto: isTerminal && environment["NO_COLOR"] == nil && environment["TERM"] != "dumb"
            }
    }

    package func paint(_ text: String, _ role: Role) -> String {
        guard isColored, !text.isEmpty, let code = Self.code(role) else { return text }
        return "\u{1b}[\(code)m\(text)\u{1b}[0m"
    }

    private static func code(_ role: Role) -> String? {
        switch role {
        case .plain: nil
        case .strong: "1"
        case .dim: "2"
        case .good: "32"
        case .bad: "1;31"
        case .warning: "33"
        case .accent: "36"
        }
    }
}
