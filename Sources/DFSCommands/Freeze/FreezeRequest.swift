import DFSModel
import DFSRuns

/// What `dfs-run` tells the process that freezes its environment, as the first line of that one's input. Further lines are
/// the paths of mapped files, as `NameText` in JSON; the input ends with the job, or with the launcher.
struct FreezeRequest {
    let run: RunID
    let store: String
    let cacheRoot: String
    /// Bytes.
    let limit: UInt64
    /// `python` of the host record.
    let python: JSONValue
    let home: String?
    /// What no environment holds.
    let bounds: EnvironmentBounds
    /// No process of the job was there before.
    let began: Timestamp
    /// What the job has from the environment of another run, put over this machine's.
    let lent: [String]

    var json: JSONValue {
        [
            "run": .string(run.description), "store": .string(store), "cacheRoot": .string(cacheRoot),
            "limit": .integer(Int64(clamping: limit)), "python": python, "home": home.map { .string($0) } ?? .null,
            "bounds": bounds.json, "began": .string(began.wholeMicroseconds.description),
            "lent": .array(lent.map { .string($0) }),
        ]
    }

    init(
        run: RunID, store: String, cacheRoot: String, limit: UInt64, python: JSONValue, home: String?,
        bounds: EnvironmentBounds, began: Timestamp, lent: [String]
    ) {
        self.run = run
        self.store = store
        self.cacheRoot = cacheRoot
        self.limit = limit
        self.python = python
        self.home = home
        self.bounds = bounds
        self.began = began
        self.lent = lent
    }

    /// `nil` when a member is missing.
    init?(_ json: JSONValue) {
        guard let run = json["run"]?.string.flatMap({ RunID($0) }), let store = json["store"]?.string,
            let cacheRoot = json["cacheRoot"]?.string,
            let began = json["began"]?.string.flatMap({ Timestamp(stored: $0) }), let limit = json["limit"]?.integer,
            limit >= 0
        else { return nil }
        self.init(
            run: run, store: store, cacheRoot: cacheRoot, limit: UInt64(limit), python: json["python"] ?? .null,
            home: json["home"]?.string, bounds: EnvironmentBounds(json: json["bounds"]), began: began,
            lent: (json["lent"]?.array ?? []).compactMap(\.string))
    }
}
