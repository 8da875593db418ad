import DFSChunking
import DFSLedger
import DFSModel
import DFSSystem

/// `leader.json`: who starts the run of a step, and what was asked of it.
struct LeaderClaim {
    let run: RunID
    let process: ProcessIdentity
    let rank: Int
    /// The digest of what each option says. Only those that were given.
    let options: [String: String]
    /// The digest of the command's words.
    let command: String
    /// The command's name and how many arguments it has; not written.
    var words: JSONValue = .null

    /// Of this process.
    init(_ run: RunID, rank: Int, _ request: LaunchRequest) throws(DFSError) {
        self.run = run
        self.rank = rank
        process = try ProcessIdentity.own()
        // A job starts where the leader was started.
        let place = ["the working directory": request.environment.directory.map { JSONValue.string($0) } ?? .null]
        options = request.options.merging(place) { $1 }.mapValues(Self.digest)
        command = Self.digest(.array(request.command.map { .string(NameText.encode(ArgumentText.bytes(of: $0))) }))
        words = request.commandNote
    }

    private static func digest(_ value: JSONValue) -> String { Digest.of(value.canonicalBytes).text }

    var json: JSONValue {
        [
            "run": .string(run.description), "process": process.json, "rank": .integer(Int64(rank)),
            "options": .object(options.mapValues { .string($0) }), "command": .string(command),
        ]
    }

    /// `nil` when a member is missing.
    init?(json: JSONValue) {
        guard let run = (json["run"]?.string).flatMap({ RunID($0) }),
            let process = json["process"].flatMap({ ProcessIdentity(json: $0) }),
            let rank = json["rank"]?.integer.flatMap(Int.init(exactly:)), let options = json["options"]?.object,
            let command = json["command"]?.string
        else { return nil }
        self.run = run
        self.process = process
        self.rank = rank
        self.options = options.compactMapValues(\.string)
        self.command = command
    }

    /// The first option about which two ranks do not agree.
    func difference(from other: LeaderClaim) -> String? {
        Set(options.keys).union(other.options.keys).sorted().first { options[$0] != other.options[$0] }
    }
}
