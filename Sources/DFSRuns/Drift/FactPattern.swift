/// Which facts a rule is for: the path of a member in a host record.
///
/// Written with dots: a name, `*` (any one member or element), `{group}` (a member whose name the group has), and `**` at
/// the end (the member itself and everything below it).
package struct FactPattern: Sendable {
    package let text: String
    private let parts: [Part]
    /// Whether it ends in `**`.
    let goesDown: Bool

    private enum Part {
        case name(String), any
        case group(NameGroup)
    }

    init(_ text: String) {
        self.text = text
        var words = text.split(separator: ".").map(String.init)
        goesDown = words.last == "**"
        if goesDown { words.removeLast() }
        parts = words.map { word in
            if word == "*" { return .any }
            if word.hasPrefix("{"), let group = NameGroup(rawValue: String(word.dropFirst().dropLast())) {
                return .group(group)
            }
            return .name(word)
        }
    }

    func matches(_ path: [String]) -> Bool {
        guard goesDown ? path.count >= parts.count : path.count == parts.count else { return false }
        return zip(parts, path).allSatisfy { part, word in
            switch part {
            case .name(let name): name == word
            case .any: true
            case .group(let group): group.holds(word)
            }
        }
    }
}
