/// `{data}`, `{data:KEY}`, `{outputs}` and `{run}` in a command; `{{` is a brace. Other braces are left alone, as they are
/// in awk programs and format strings.
struct Placeholders {
    let values: [String: String]

    func expand(_ text: String) -> String {
        var out = ""
        var rest = text[...]
        while let brace = rest.firstIndex(of: "{") {
            out += rest[..<brace]
            rest = rest[brace...]
            if rest.hasPrefix("{{") {
                out += "{"
                rest = rest.dropFirst(2)
                continue
            }
            let inside = rest.dropFirst()
            if let end = inside.firstIndex(of: "}"), let value = values[String(inside[..<end])] {
                out += value
                rest = inside[inside.index(after: end)...]
            } else {
                out += "{"
                rest = inside
            }
        }
        return out + rest
    }
}
