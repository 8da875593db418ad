import DFSModel

extension LaunchRequest {
    /// What `dfs-run`'s options say of the run, by option: only those that were given. `--no-expand` is not among them: it is
    /// about the command alone.
    var options: [String: JSONValue] {
        func list(_ values: [String]) -> JSONValue? { values.isEmpty ? nil : .array(values.map { .string($0) }) }
        func text(_ value: String?) -> JSONValue? { value.map { .string($0) } }
        func flag(_ value: Bool) -> JSONValue? { value ? true : nil }
        var directories = [String]()
        if case .directories(let more) = code { directories = more }
        let all: [String: JSONValue?] = [
            "--data": list(data), "--code": list(directories), "--deny": list(deny), "--in-place": flag(inPlace),
            "--strict": flag(strict), "--seed": seed.map { .integer(Int64($0)) }, "--tag": text(tag),
            "--note": text(note),
            "--serve": serve == .auto ? nil : .string(serve.rawValue), "--like": text(like), "--require": text(require),
            "--allow-secrets": text(allowSecrets), "--no-freeze-env": flag(!freezesEnvironment),
            "--no-access": flag(!recordsAccess),
        ]
        return all.compactMapValues { $0 }
    }

    /// The command's name and how many arguments it has. Personal text may be in arguments, and evidence cannot be redacted.
    var commandNote: JSONValue {
        let program = command.first?.split(separator: "/").last.map(String.init) ?? ""
        return [
            "program": .string(NameText.encode(ArgumentText.bytes(of: program))),
            "arguments": .integer(Int64(command.count - 1)),
        ]
    }
}
