import DFSModel

/// Which frozen tree an opened file belongs to.
package enum AccessSource: Hashable, Sendable {
    case dataset(String, version: Int)
    case code(project: String, snapshot: String)
    /// What another run left: `part` is `outputs`, `work`, …
    case run(RunID, part: String)

    /// As a reference to the tree: `faces@v3`, `code:trainer@0a1b…`, `run:ID/outputs`.
    package var reference: String {
        switch self {
        case .dataset(let name, let version): "\(name)@v\(version)"
        case .code(let project, let snapshot): "code:\(project)@\(snapshot)"
        case .run(let run, let part): "run:\(run)/\(part)"
        }
    }

    package var json: JSONValue {
        switch self {
        case .dataset(let name, let version): ["dataset": .string(name), "version": .integer(Int64(version))]
        case .code(let project, let snapshot): ["project": .string(project), "snapshot": .string(snapshot)]
        case .run(let run, let part): ["run": .string(run.description), "part": .string(part)]
        }
    }

    package init?(json: JSONValue) {
        if let name = json["dataset"]?.string, let version = json["version"]?.integer.flatMap(Int.init(exactly:)) {
            self = .dataset(name, version: version)
        } else if let project = json["project"]?.string, let snapshot = json["snapshot"]?.string {
            self = .code(project: project, snapshot: snapshot)
        } else if let run = json["run"]?.string.flatMap({ RunID($0) }), let part = json["part"]?.string {
            self = .run(run, part: part)
        } else {
            return nil
        }
    }
}
