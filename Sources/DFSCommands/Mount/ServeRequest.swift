import DFSModel

/// What a serving process is told, as JSON on its command line.
struct ServeRequest: Sendable {
    var store: String
    var cacheRoot: String
    var mountpoint: String
    var allowOther = false
    var threads = 8
    var serve = ServeChoice.stateless
    /// The most bytes that hot files may take; `nil`: as is usual.
    var hotLimit: UInt64?
    /// Ends, and unmounts, when the process that started it dies.
    var endsWithParent = false
    var parent: Int32 = 0
    /// An open descriptor for the answer: `{}` once it serves, else the error.
    var answer: Int32 = -1
    /// Where its mount is registered; `nil` for private ones.
    var registry: String?
    var log: String?

    var json: JSONValue {
        var members: [String: JSONValue] = [
            "store": .string(store), "cacheRoot": .string(cacheRoot), "mountpoint": .string(mountpoint),
            "allowOther": .bool(allowOther), "threads": .integer(Int64(threads)),
            "endsWithParent": .bool(endsWithParent), "parent": .integer(Int64(parent)),
            "answer": .integer(Int64(answer)), "serve": .string(serve.rawValue),
        ]
        if let hotLimit { members["hotLimit"] = .integer(Int64(clamping: hotLimit)) }
        if let registry { members["registry"] = .string(registry) }
        if let log { members["log"] = .string(log) }
        return .object(members)
    }

    init(store: String, cacheRoot: String, mountpoint: String) {
        self.store = store
        self.cacheRoot = cacheRoot
        self.mountpoint = mountpoint
    }

    init?(_ json: JSONValue) {
        guard let store = json["store"]?.string, let cache = json["cacheRoot"]?.string,
            let mountpoint = json["mountpoint"]?.string
        else { return nil }
        self.init(store: store, cacheRoot: cache, mountpoint: mountpoint)
        allowOther = json["allowOther"]?.bool ?? false
        threads = Int(json["threads"]?.integer ?? 8)
        endsWithParent = json["endsWithParent"]?.bool ?? false
        parent = Int32(json["parent"]?.integer ?? 0)
        answer = Int32(json["answer"]?.integer ?? -1)
        serve = json["serve"]?.string.flatMap { ServeChoice(rawValue: $0) } ?? .stateless
        hotLimit = json["hotLimit"]?.integer.flatMap { UInt64(exactly: $0) }
        registry = json["registry"]?.string
        log = json["log"]?.string
    }
}
