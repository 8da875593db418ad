import DFSHistory
import DFSModel
import DFSRuns

/// What a run's command line and environment are recorded as: no secret is in it. Made before anything is recorded; refuses a
/// run whose command line or named variables hold secrets, unless that is waived, and even then records their hashes only.
struct LaunchSecrets: Sendable {
    let environment: EnvironmentRecord
    /// The command's words, with what is secret in them replaced.
    let arguments: [[UInt8]]
    /// What was let pass.
    let json: JSONValue

    init(_ request: LaunchRequest, _ project: ProjectFile?, _ repository: Repository) throws(DFSError) {
        try SpokenSecrets.refuse(reason: request.allowSecrets, command: "dfs-run")
        let words = request.command.map { ArgumentText.bytes(of: $0) }
        let found = SecretArguments(words)
        let recorded = request.recordedVariables ?? project?.run.environment ?? []
        let named = Set(Self.searched + recorded).sorted().filter {
            request.environment.variables[$0] != nil
        }
        let variables = named.flatMap { name in
            EnvironmentRecord.secrets(name, request.environment.variables[name] ?? "").map { (name, $0) }
        }
        let note = SpokenSecrets.found(in: request.note ?? "")
        if request.allowSecrets == nil {
            try Self.refuse(
                found.found.map(\.sentence) + variables.map { "variable \($0.0): \($0.1.sentence)" }
                    + note.map { "--note: \($0.sentence)" })
        }
        var key: EnvironmentKey?
        var failure: String?
        do throws(DFSError) { key = try EnvironmentKey.load(in: repository.backend) } catch {
            // A hash that cannot be made is no reason to lose a run.
            failure = error.what
        }
        let readable = request.environment.variables.reduce(into: [String: String]()) { out, variable in
            out[Self.text(variable.key)] = Self.text(variable.value)
        }
        environment = EnvironmentRecord.make(readable, allowed: named.map(Self.text), key: key, failure: failure)
        arguments = found.redacted
        json = [
            "arguments": found.json(key: key),
            "variables": .array(
                variables.map { ["name": .string(Self.text($0.0)), "rule": .string($0.1.rule.rawValue)] }),
        ]
    }

    /// Where programs and modules are looked for: recorded like what the project names, since a rerun has to be told.
    private static let searched = [
        "CONDA_PREFIX", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV",
    ]

    private static func text(_ argument: String) -> String { NameText.encode(ArgumentText.bytes(of: argument)) }

    private static func refuse(_ sentences: [String]) throws(DFSError) {
        guard !sentences.isEmpty else { return }
        let many = sentences.count == 1 ? "a secret would be recorded" : "\(sentences.count) secrets would be recorded"
        throw DFSError(
            .refused, "\(many): \(sentences.joined(separator: "; "))",
            cause: "command lines and the variables that dfs.toml names are part of the record",
            hint: "pass it in a variable that dfs.toml does not name, or: dfs-run --allow-secrets REASON …")
    }
}
