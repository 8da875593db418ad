extension Reference {
    /// Reads a reference. Exactly one reading exists:
    /// - `run:` and `code:` announce themselves, since a dataset name holds no colon; `dfs://` may stand before all;
    /// - a dataset name is the longest known one the text begins with, followed by the end, `@` or `/`;
    ///   where none is known, the longest that could be one;
    /// - a selector reaches to the next `/`, and its shape alone says what it is;
    /// - repeated slashes and `.` components mean nothing.
    ///
    /// `knownDataset` is asked at most twice. Throws `usage` for text that can name nothing.
    package static func parse(_ text: String, knownDataset: (String) -> Bool) throws(DFSError) -> Reference {
        try parse(Array(text.utf8), knownDataset: knownDataset)
    }

    /// Reads a reference whose path may hold bytes that are not UTF-8.
    package static func parse(_ bytes: [UInt8], knownDataset: (String) -> Bool) throws(DFSError) -> Reference {
        try ReferenceParser(whole: bytes).reference(knownDataset)
    }
}

private struct ReferenceParser {
    /// The text as given, for messages.
    let whole: [UInt8]

    init(whole: [UInt8]) { self.whole = whole }

    func reference(_ knownDataset: (String) -> Bool) throws(DFSError) -> Reference {
        let bytes = whole.starts(with: "dfs://".utf8) ? whole.dropFirst(6) : whole[...]
        guard !bytes.contains(0) else { throw problem("it holds a zero byte") }
        let parts = bytes.split(separator: UInt8(ascii: "/")).map(Array.init).filter { $0 != dot }
        // An absolute or ./relative path is a place on this machine, not a dataset that happens to have its name.
        guard let first = parts.first, bytes.starts(with: first) else {
            throw problem("a reference begins with the name of a dataset, run: or code:", hint: "dfs ls")
        }
        guard !parts.contains(dot + dot) else { throw problem("a path inside a reference cannot go up with ..") }
        if first.starts(with: "run:".utf8) { return try run(parts) }
        if first.starts(with: "code:".utf8) { return try code(parts) }
        return try dataset(parts, knownDataset)
    }

    private let dot = [UInt8(ascii: ".")]

    private func run(_ parts: Reference.Path) throws(DFSError) -> Reference {
        let id = try text(of: parts[0].dropFirst(4))
        guard !id.isEmpty, id.utf8.allSatisfy({ isLowercaseOrDigit($0) || $0 == UInt8(ascii: "-") }) else {
            throw problem("after run: stands an id, a part of one, a name such as calm-otter, or latest")
        }
        return .run(id: id, path: Array(parts.dropFirst()))
    }

    private func code(_ parts: Reference.Path) throws(DFSError) -> Reference {
        let (project, selector) = cut(try text(of: parts[0].dropFirst(5)))
        guard !project.isEmpty else { throw problem("after code: stands the name of a project") }
        return .code(
            project: project, selector: try selector.map(codeSelector) ?? .latest, path: Array(parts.dropFirst()))
    }

    private func dataset(_ parts: Reference.Path, _ known: (String) -> Bool) throws(DFSError) -> Reference {
        let one = candidate(components: 1, of: parts)
        let two = candidate(components: 2, of: parts)
        let knownOne = one.flatMap { known($0.name) ? $0 : nil }
        let knownTwo = two.flatMap { known($0.name) ? $0 : nil }
        guard let chosen = knownTwo ?? knownOne ?? two ?? one else {
            throw problem("a reference begins with the name of a dataset, run: or code:", hint: "dfs ls")
        }
        let selector = try chosen.selector.map(datasetSelector) ?? .latest
        return .dataset(name: chosen.name, selector: selector, path: chosen.path)
    }

    /// A dataset name of so many components at the beginning, the selector after it, and what is left.
    private struct Candidate {
        let name: String
        let selector: String?
        let path: Reference.Path
    }

    private func candidate(components count: Int, of parts: Reference.Path) -> Candidate? {
        guard parts.count >= count,
            let head = String(validating: parts[..<count].joined(separator: "/".utf8), as: UTF8.self)
        else { return nil }
        let (name, selector) = cut(head)
        let words = name.split(separator: "/", omittingEmptySubsequences: false)
        guard words.count == count, words.allSatisfy(isWord) else { return nil }
        return Candidate(name: name, selector: selector, path: Array(parts[count...]))
    }

    private func datasetSelector(_ text: String) throws(DFSError) -> Reference.Selector {
        if let common = try commonSelector(text) { return common }
        if text.hasPrefix("v"), text.count > 1, text.utf8.dropFirst().allSatisfy({ (0x30...0x39).contains($0) }) {
            guard let number = Int(text.dropFirst()), number > 0, "v\(number)" == text else {
                throw problem("versions are v1, v2, v3 and so on")
            }
            return .version(number)
        }
        if text.hasPrefix("view:") {
            guard isWord(text.dropFirst(5)) else { throw problem("after view: stands the name of a view") }
            return .view(String(text.dropFirst(5)))
        }
        if let digits = hexDigits(text), digits.count >= 8 {
            guard digits.count <= 64 else { throw problem("a digest has 64 digits") }
            return .digest(prefix: digits)
        }
        guard isWord(text) else {
            throw problem("after @ stands v3, a tag, a time, an age such as 2d, latest~1, sha256:… or view:…")
        }
        return .tag(text)
    }

    private func codeSelector(_ text: String) throws(DFSError) -> Reference.Selector {
        if let common = try commonSelector(text) { return common }
        guard text.utf8.count >= 6, text.utf8.allSatisfy({ isLowercaseHex($0) || $0 == UInt8(ascii: "-") }) else {
            throw problem("after @ stands a snapshot's id or 6 or more digits of it, a time, an age, or latest")
        }
        return .snapshot(text)
    }

    /// What may stand after any `@`; `nil` when it is something else.
    private func commonSelector(_ text: String) throws(DFSError) -> Reference.Selector? {
        if text.isEmpty { throw problem("nothing stands after @") }
        if text == "latest" { return .latest }
        if text.contains("~") {
            let parts = text.split(separator: "~", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts[0] == "latest", parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let back = Int(parts[1])
            else { throw problem("~ counts versions back from the newest: latest~1") }
            return .latest(back: back)
        }
        if text.hasPrefix("sha256:") {
            guard let digits = hexDigits(text.dropFirst(7)), (8...64).contains(digits.count) else {
                throw problem("after sha256: stand 8 to 64 hexadecimal digits")
            }
            return .digest(prefix: digits)
        }
        return TimeExpression.looksLikeTime(text) || TimeExpression.looksLikeAge(text) ? .time(text) : nil
    }

    /// Cuts at the first `@` into name and selector.
    private func cut(_ text: String) -> (String, String?) {
        guard let at = text.utf8.firstIndex(of: UInt8(ascii: "@")) else { return (text, nil) }
        return (String(text[..<at]), String(text[text.utf8.index(after: at)...]))
    }

    private func text(of bytes: ArraySlice<UInt8>) throws(DFSError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw problem("names are UTF-8") }
        return text
    }

    /// `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`
    private func isWord(_ text: some StringProtocol) -> Bool {
        guard (1...63).contains(text.utf8.count), let first = text.utf8.first, isLetterOrDigit(first) else {
            return false
        }
        return text.utf8.allSatisfy { isLetterOrDigit($0) || ".-_".utf8.contains($0) }
    }

    private func hexDigits(_ text: some StringProtocol) -> String? {
        let lower = text.lowercased()
        return lower.utf8.allSatisfy(isLowercaseHex) ? lower : nil
    }

    private func isLowercaseHex(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }

    private func isLowercaseOrDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte)
    }

    private func isLetterOrDigit(_ byte: UInt8) -> Bool { isLowercaseOrDigit(byte) || (0x41...0x5a).contains(byte) }

    private func problem(_ cause: String, hint: String = "dfs ls --help") -> DFSError {
        DFSError(.usage, "not a reference: \(NameText.display(whole))", cause: cause, hint: hint)
    }
}
