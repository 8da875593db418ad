import DFSChunking
import DFSModel

/// The secrets in a command line, and the words as they may be recorded.
package struct SecretArguments: Sendable {
    package struct Found: Sendable {
        /// Of the word, from 0: the command itself.
        package let word: Int
        package let finding: SecretFinding

        package var sentence: String { "argument \(word): \(finding.sentence)" }
    }

    package let found: [Found]
    private let words: [[UInt8]]

    /// A word is looked at alone, and as the value of the option before it: `--api-key VALUE`.
    package init(_ words: [[UInt8]]) {
        self.words = words
        var found = [Found]()
        for (number, word) in words.enumerated() {
            var here = SecretScanner.scan(word, asSettings: true)
            if number > 0, words[number - 1].first == UInt8(ascii: "-"), !words[number - 1].contains(UInt8(ascii: "="))
            {
                let name = words[number - 1].drop { $0 == UInt8(ascii: "-") } + [UInt8(ascii: "=")]
                for finding in SecretScanner.scan(name + word, asSettings: true) {
                    guard finding.range.lowerBound >= name.count else { continue }
                    let range = (finding.range.lowerBound - name.count)..<(finding.range.upperBound - name.count)
                    guard !here.contains(where: { $0.range.overlaps(range) }) else { continue }
                    here.append(
                        SecretFinding(rule: finding.rule, line: finding.line, range: range, preview: word[range]))
                }
            }
            found += here.sorted { $0.range.lowerBound < $1.range.lowerBound }.map { Found(word: number, finding: $0) }
        }
        self.found = found
    }

    /// The words with `[redacted: rule]` in place of each secret.
    package var redacted: [[UInt8]] {
        var out = words
        for one in found.reversed() {
            out[one.word].replaceSubrange(
                one.finding.range, with: Array("[redacted: \(one.finding.rule.rawValue)]".utf8))
        }
        return out
    }

    /// What the record says of each: where, which rule, and a hash by which the same secret is known again.
    package func json(key: EnvironmentKey?) -> JSONValue {
        .array(
            found.map { one in
                let secret = Array(words[one.word][one.finding.range])
                return [
                    "argument": .integer(Int64(one.word)), "rule": .string(one.finding.rule.rawValue),
                    "hmac": key.map { .string($0.authenticate("argument", secret).hex) } ?? .null,
                ]
            })
    }
}
