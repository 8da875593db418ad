import DFSModel

/// A record as people read it: one member per line, short values together.
enum JSONText {
    private static let width = 100

    static func lines(_ value: JSONValue, indent: Int = 0) -> [String] {
        let space = String(repeating: " ", count: indent)
        let flat = value.canonicalText
        if flat.utf8.count + indent <= width { return [space + flat] }
        switch value {
        case .object(let members):
            var out = [space + "{"]
            for (name, value) in members.sorted(by: { $0.key < $1.key }) {
                let inner = lines(value, indent: indent + 2)
                let first = (inner.first ?? "").drop { $0 == " " }
                out.append("\(space)  \(JSONValue.string(name).canonicalText): \(first)")
                out += inner.dropFirst()
            }
            return out + [space + "}"]
        case .array(let values):
            var out = [space + "["]
            for value in values { out += lines(value, indent: indent + 2) }
            return out + [space + "]"]
        default: return [space + flat]
        }
    }
}
