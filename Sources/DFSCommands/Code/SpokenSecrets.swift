import DFSModel
import DFSRuns

/// Secrets in what a user says in words: reasons and notes, which are recorded as they are.
enum SpokenSecrets {
    static func found(in words: String) -> [SecretFinding] {
        SecretScanner.scan(ArgumentText.bytes(of: words), asSettings: true)
    }

    /// Refuses words in which there is a secret. `place` is how they were given, such as `--allow-secrets`.
    static func refuse(_ words: String?, in place: String, hint: String) throws(DFSError) {
        let found = found(in: words ?? "")
        guard !found.isEmpty else { return }
        let many = found.count == 1 ? "a secret would be recorded" : "\(found.count) secrets would be recorded"
        throw DFSError(
            .refused, "\(many): " + found.map { "\(place): \($0.sentence)" }.joined(separator: "; "),
            cause: "the words are part of the record", hint: hint)
    }

    /// Of the reason for which secrets pass: it lets others pass, not itself.
    static func refuse(reason: String?, command: String) throws(DFSError) {
        try refuse(
            reason, in: "--allow-secrets",
            hint: "say why it may be recorded, not what it is: \(command) --allow-secrets 'of a test account'")
    }
}
