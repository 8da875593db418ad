import DFSHistory
import DFSModel
import DFSRuns
import DFSStore

/// The variables with which a run was started, against those of the caller who repeats it.
struct RecordedEnvironment {
    private let run: String
    private let then: EnvironmentRecord
    private let key: EnvironmentKey?

    /// From the plan and the text of a run.
    init(_ run: String, _ plan: JSONValue, _ text: [String: JSONValue], _ repository: Repository) {
        self.run = run
        then = EnvironmentRecord(json: plan["environment"] ?? .object([:]), text: text["environment"])
        key = try? EnvironmentKey.load(in: repository.backend)
    }

    /// Names whose values stand in the run's text.
    var named: [String] { then.namesInText }

    /// What differs, in order of names.
    func differences(_ variables: [String: String]) -> [(name: String, kind: EnvironmentRecord.Difference)] {
        let readable = variables.reduce(into: [String: String]()) { out, variable in
            out[Self.text(variable.key)] = Self.text(variable.value)
        }
        return EnvironmentRecord.differences(
            from: then, to: EnvironmentRecord.make(readable, allowed: [], key: key))
    }

    private static func text(_ argument: String) -> String { NameText.encode(ArgumentText.bytes(of: argument)) }

    /// The caller's variables with what `--env` says: `NAME=VALUE`, or `NAME` for the value that is recorded.
    func applying(_ changes: [String], to variables: [String: String]) throws(DFSError) -> [String: String] {
        var variables = variables
        for change in changes {
            guard !change.isEmpty, !change.hasPrefix("=") else {
                throw DFSError(
                    .usage, "--env \(change) names no variable", hint: "dfs rerun \(run) --env NAME=VALUE")
            }
            if let equals = change.firstIndex(of: "=") {
                variables[String(change[..<equals])] = String(change[change.index(after: equals)...])
            } else if let value = then.value(Self.text(change)) {
                variables[change] = ArgumentText.text(of: NameText.decode(value) ?? Array(value.utf8))
            } else {
                throw DFSError(
                    .usage, "--env \(change) has no value", cause: "the record of the run has none either",
                    hint: "dfs rerun \(run) --env \(change)=VALUE")
            }
        }
        return variables
    }

    /// Refuses where a variable that was set then is absent or different now, save those that may: the job would be another.
    func check(_ variables: [String: String], given: [String], ignored: [String]) throws(DFSError) {
        if ignored.contains("all") { return }
        let settled = Set(given.map { String($0.prefix { $0 != "=" }) } + ignored)
        let found = differences(variables).filter {
            ($0.kind == .absent || $0.kind == .different) && !settled.contains($0.name)
        }
        guard let first = found.first else { return }
        let words = found.prefix(4).map { "\($0.name) is \($0.kind == .absent ? "not set" : "different")" }
        let more = found.count > 4 ? " and \(found.count - 4) more" : ""
        let count = Quantity.count(found.count, "variable")
        let way =
            then.value(first.name) == nil
            ? "--ignore-env \(first.name), or: --env \(first.name)=VALUE"
            : "--env \(first.name), or: --ignore-env \(first.name)"
        throw DFSError(
            .refused, "\(count) of run \(run) cannot be as before: \(words.joined(separator: ", "))\(more)",
            cause: "the environment is part of a run",
            hint: "dfs rerun \(run) \(way)")
    }
}
