import DFSLedger
import DFSModel

/// `{data}`, `{data:KEY}`, `{outputs}` and `{run}` in a command; `{{` is a brace. Other braces are left alone, as they are
/// in awk programs and format strings.
struct Placeholders {
    let values: [String: String]

    /// Refuses `{data:KEY}` where there is no such key: the job would take the braces for a path.
    static func check(_ words: [String], keys: [String]) throws(DFSError) {
        let known = Placeholders(values: Dictionary(keys.map { ("data:" + $0, "") }) { first, _ in first })
        guard let key = words.lazy.compactMap({ known.walk($0).unknown }).first else { return }
        throw DFSError(
            .usage, "there is no data \(key), which {data:\(key)} asks for",
            cause: keys.isEmpty ? "the run has no data" : "its keys: \(keys.joined(separator: ", "))",
            hint: "dfs-run --no-expand -- …")
    }

    func expand(_ text: String) -> String { walk(text).text }

    /// The text with all that is known replaced, and the first key of data that is not known.
    private func walk(_ text: String) -> (text: String, unknown: String?) {
        var (out, rest, unknown) = ("", text[...], nil as String?)
        while let brace = rest.firstIndex(of: "{") {
            out += rest[..<brace]
            rest = rest[brace...]
            if rest.hasPrefix("{{") {
                out += "{"
                rest = rest.dropFirst(2)
                continue
            }
            let inside = rest.dropFirst()
            let end = inside.firstIndex(of: "}")
            if let end, let value = values[String(inside[..<end])] {
                out += value
                rest = inside[inside.index(after: end)...]
            } else {
                if let end { unknown = unknown ?? Self.key(inside[..<end]) }
                out += "{"
                rest = inside
            }
        }
        return (out + rest, unknown)
    }

    /// The key in `data:KEY`; what has spaces or quotes in it is some other language.
    private static func key(_ text: Substring) -> String? {
        guard text.hasPrefix("data:") else { return nil }
        let key = text.dropFirst(5)
        let isName = key.allSatisfy { $0.isLetter || $0.isNumber || "._-/".contains($0) }
        return isName && !key.isEmpty ? String(key) : nil
    }
}

extension Placeholders {
    /// Those of a run that its variables describe.
    init(of run: RunRecord, _ environment: ProcessEnvironment) {
        let data = environment["DFS_DATA"] ?? ""
        var values = ["run": run.id.description, "outputs": environment["DFS_OUTPUTS"] ?? "", "data": data]
        for input in run.data { values["data:" + input.key] = data + "/" + input.key }
        self.init(values: values)
    }
}
