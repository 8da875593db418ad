import DFSModel

/// Looks for secrets in a text: tokens by the forms that their issuers give them, keys, URLs with passwords, and random
/// values given to names that tell of secrets.
///
/// What only stands for a secret (`changeme`, `${TOKEN}`, `AKIA…EXAMPLE`) is none, nor is anything within long runs of base 64,
/// which images in notebooks and `data:` URLs are.
package struct SecretScanner {
    private let text: SecretText
    private var found = [Match]()
    /// Those of them that nothing on their line waives.
    private var stopping = 0

    private struct Match {
        let rule: SecretRule
        let range: Range<Int>
        let isWaived: Bool
    }

    init(_ text: SecretText) { self.text = text }

    /// The findings in a whole text, in order. `asSettings`: values need no quotes there.
    package static func scan(_ bytes: [UInt8], asSettings: Bool = false) -> [SecretFinding] {
        bytes.withUnsafeBufferPointer { buffer in
            let text = SecretText(bytes: buffer, kind: asSettings ? .settings : .program)
            return scan(text, upTo: buffer.count, firstLine: 1).map(\.finding)
        }
    }

    /// The findings that begin before `limit`, with whether a mark on their line waives them.
    static func scan(
        _ text: SecretText, upTo limit: Int, firstLine: Int
    ) -> [(finding: SecretFinding, isWaived: Bool)] {
        var scanner = SecretScanner(text)
        // Three bytes more: those that end a text are not the start of anything.
        SecretGrams.shared.forEach(in: text.bytes, 0..<text.count) { i, entries in
            for entry in entries { scanner.look(entry, at: i - entry.offset) }
        }
        for (rule, range) in text.values { scanner.add(rule, range) }
        var (line, counted) = (firstLine, 0)
        return scanner.disjoint().compactMap { match in
            let range = match.range
            guard range.lowerBound < limit else { return nil }
            line += text.newlines(in: counted..<range.lowerBound)
            counted = range.lowerBound
            let finding = SecretFinding(rule: match.rule, line: line, range: range, preview: text[range])
            return (finding, match.isWaived)
        }
    }

    /// In order of place; of two that overlap the one by form, or the first.
    private func disjoint() -> [Match] {
        let sorted = found.sorted {
            ($0.range.lowerBound, Self.isGeneral($0.rule) ? 1 : 0) < (
                $1.range.lowerBound, Self.isGeneral($1.rule) ? 1 : 0
            )
        }
        let special = sorted.filter { !Self.isGeneral($0.rule) }
        var kept = [Match](), next = 0
        for one in sorted {
            if let last = kept.last, last.range.overlaps(one.range) { continue }
            while next < special.count, special[next].range.upperBound <= one.range.lowerBound { next += 1 }
            if Self.isGeneral(one.rule), next < special.count, special[next].range.overlaps(one.range) { continue }
            kept.append(one)
        }
        return kept
    }

    /// More that stop it are not looked for in one text. What is waived does not count: another secret may follow it.
    private static let most = 1000

    private static func isGeneral(_ rule: SecretRule) -> Bool {
        [.password, .secretAssignment, .authorizationHeader, .urlCredentials].contains(rule)
    }

    private mutating func look(_ entry: SecretGrams.Entry, at start: Int) {
        guard start >= 0, stopping < Self.most else { return }
        let match: (SecretRule, Range<Int>)? =
            switch entry.rule {
            case .token(let form): text.token(form, at: start).map { (form.rule, $0) }
            case .name(let name): text.assignment(name, at: start)
            case .authorization: text.authorization(at: start).map { (.authorizationHeader, $0) }
            case .privateKey: text.privateKey(at: start).map { (.privateKey, $0) }
            case .jsonWebToken: text.jsonWebToken(at: start).map { (.jsonWebToken, $0) }
            case .url: text.urlPassword(at: start).map { (.urlCredentials, $0) }
            }
        if let match { add(match.0, match.1) }
    }

    private mutating func add(_ rule: SecretRule, _ range: Range<Int>) {
        let isWaived = text.isWaived(at: range.lowerBound)
        if !isWaived { stopping += 1 }
        found.append(Match(rule: rule, range: range, isWaived: isWaived))
    }
}
