import DFSModel

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
    let withheld: [String]
    /// The run whose environment this one was given: it is that one's then, whatever this machine has.
    var source: RunID?

    var json: JSONValue {
        [
            "run": .string(run.description), "store": .string(store), "cacheRoot": .string(cacheRoot),
            "limit": .integer(Int64(clamping: limit)), "python": python, "home": home.map { .string($0) } ?? .null,
            "withheld": .array(withheld.map { .string($0) }),
            "source": source.map { .string($0.description) } ?? .null,
        ]
    }

    init(
        run: RunID, store: String, cacheRoot: String, limit: UInt64, python: JSONValue, home: String?,
        withheld: [String]
    ) {
        self.run = run
        self.store = store
        self.cacheRoot = cacheRoot
        self.limit = limit
        self.python = python
        self.home = home
        self.withheld = withheld
    }

    /// `nil` when a member is missing.
    init?(_ json: JSONValue) {
        guard let run = json["run"]?.string.flatMap({ RunID($0) }), let store = json["store"]?.string,
            let cacheRoot = json["cacheRoot"]?.string, let limit = json["limit"]?.integer, limit >= 0
        else { return nil }
        self.init(
            run: run, store: store, cacheRoot: cacheRoot, limit: UInt64(limit), python: json["python"] ?? .null,
            home: json["home"]?.string, withheld: (json["withheld"]?.array ?? []).compactMap(\.string))
        source = json["source"]?.string.flatMap { RunID($0) }
    }
}
