import DFSModel
import DFSSystem

/// `rank-<n>.json`: that a rank has come, and later how it ended.
struct RankNote {
    var process: ProcessIdentity?
    var exit: Int32?
    /// The name of the command and how many arguments it has, where it is not the leader's.
    var command: JSONValue?

    init(process: ProcessIdentity) { self.process = process }

    init(json: JSONValue) {
        process = json["process"].flatMap { ProcessIdentity(json: $0) }
        exit = json["exit"]?.integer.map { Int32(truncatingIfNeeded: $0) }
        command = json["command"]
    }

    var json: JSONValue {
        var members = [String: JSONValue]()
        if let process { members["process"] = process.json }
        if let exit { members["exit"] = .integer(Int64(exit)) }
        if let command { members["command"] = command }
        return .object(members)
    }
}
