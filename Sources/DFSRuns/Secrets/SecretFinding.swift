import DFSModel

/// Bytes that look like a secret. Holds where they are, not what they are.
package struct SecretFinding: Sendable, Equatable {
    package let rule: SecretRule
    /// From 1.
    package let line: Int
    /// Of the text that was scanned.
    package let range: Range<Int>
    /// The first characters, at most four: enough to know one's own secret again.
    package let preview: String

    /// How many leading characters may be shown.
    static let shown = 4

    init(rule: SecretRule, line: Int, range: Range<Int>, preview: some Collection<UInt8>) {
        self.rule = rule
        self.line = line
        self.range = range
        // Of something short less is shown.
        let count = min(Self.shown, range.count / 4)
        self.preview = NameText.display(Array(preview.prefix(count)))
    }

    /// `github-token (ghp_…)`
    package var sentence: String { preview.isEmpty ? rule.rawValue : "\(rule.rawValue) (\(preview)…)" }
}

/// A finding in a file.
package struct LocatedSecret: Sendable, Equatable {
    /// Relative to what was scanned, slash-joined.
    package let path: [UInt8]
    package let finding: SecretFinding

    package init(path: [UInt8], finding: SecretFinding) {
        self.path = path
        self.finding = finding
    }

    /// `src/config.py:12: github-token (ghp_…)`
    package var sentence: String { "\(NameText.display(path)):\(finding.line): \(finding.sentence)" }

    /// Nothing of the secret is in it.
    package var json: JSONValue {
        [
            "path": .string(NameText.encode(path)), "line": .integer(Int64(finding.line)),
            "rule": .string(finding.rule.rawValue),
        ]
    }
}
