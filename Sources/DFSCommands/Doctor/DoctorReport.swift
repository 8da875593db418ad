import DFSModel

/// One thing that `dfs doctor` looked at.
struct DoctorFinding: Sendable {
    enum Verdict: String, Sendable { case good, note, problem }

    let subject: String
    let verdict: Verdict
    let value: String
    let note: String?
    /// A command that helps.
    let hint: String?
    /// More members for `--json`.
    let facts: [String: JSONValue]

    init(
        _ subject: String, _ verdict: Verdict, _ value: String, note: String? = nil, hint: String? = nil,
        facts: [String: JSONValue] = [:]
    ) {
        self.subject = subject
        self.verdict = verdict
        self.value = value
        self.note = note
        self.hint = hint
        self.facts = facts
    }

    /// What could not be looked at.
    init(_ subject: String, _ error: DFSError) {
        self.init(subject, .problem, error.what, note: error.cause, hint: error.hint)
    }

    var json: JSONValue {
        var members = facts
        members["subject"] = .string(subject)
        members["verdict"] = .string(verdict.rawValue)
        members["value"] = .string(value)
        if let note { members["note"] = .string(note) }
        if let hint { members["hint"] = .string(hint) }
        return .object(members)
    }
}

/// The answer of `dfs doctor`.
struct DoctorReport: Report {
    static let schema = "dfs.doctor/1"

    let findings: [DoctorFinding]

    var json: [String: JSONValue] {
        [
            "version": .string(Root.version), "healthy": .bool(!findings.contains { $0.verdict == .problem }),
            "findings": .array(findings.map(\.json)),
        ]
    }

    func print(to output: Output) throws(DFSError) {
        try output.fields(
            findings.map { finding in
                let note = finding.note.map { "  (\($0))" } ?? ""
                let hint = finding.hint.map { "  hint: \($0)" } ?? ""
                return (finding.subject, .text(finding.value + note + hint, finding.verdict.role))
            })
    }
}

extension DoctorFinding.Verdict {
    fileprivate var role: Style.Role {
        switch self {
        case .good: .plain
        case .note: .warning
        case .problem: .bad
        }
    }
}
