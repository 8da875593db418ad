import DFSFuse
import DFSModel
import DFSVirtual

/// What a serving process is told, as JSON in a file in memory.
struct ServeRequest: Sendable {
    var store: String
    var cacheRoot: String
    var mountpoint: String
    var allowOther = false
    var threads = MountOptions.standardThreads
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
    /// Whether the kernel may be asked again for what a dead server had taken.
    var resends = true
    /// Serves a connection that its supervisor made.
    var inherited: Inherited?
    /// Where it is noted what is read and refused; `nil` for nowhere. The folder may appear later.
    var accessLog: String?
    /// Whether what is read is noted there too.
    var notesReads = false
    /// What is not shown.
    var denials = Denials()
    /// Only looks whether the store can be served.
    var isProbe = false

    func mountOptions(_ serving: Serving = Serving(mode: .stateless, why: "")) -> MountOptions {
        var options = MountOptions(
            mountpoint: mountpoint, fsname: "dfs:" + store, allowOther: allowOther, threads: threads, serving: serving)
        options.resends = resends
        return options
    }

    /// Numbers of open descriptors.
    struct Inherited: Sendable {
        var connection: Int32
        /// The minor device number of the mount.
        var number: UInt32
        var handshake: Int32
        var records: Int32
        var liveFiles: Int32
        var backing: Int32
        /// Where the supervisor asks.
        var control: Int32
    }

    var json: JSONValue {
        var members: [String: JSONValue] = [
            "store": .string(store), "cacheRoot": .string(cacheRoot), "mountpoint": .string(mountpoint),
            "allowOther": .bool(allowOther), "threads": .integer(Int64(threads)),
            "endsWithParent": .bool(endsWithParent), "parent": .integer(Int64(parent)),
            "answer": .integer(Int64(answer)), "resends": .bool(resends), "probe": .bool(isProbe),
            "serve": .string(serve.rawValue),
        ]
        if let hotLimit { members["hotLimit"] = .integer(Int64(clamping: hotLimit)) }
        if let registry { members["registry"] = .string(registry) }
        if let log { members["log"] = .string(log) }
        if let accessLog { members["accessLog"] = .string(accessLog) }
        if notesReads { members["notesReads"] = true }
        if !denials.isEmpty { members["denials"] = denials.json }
        if let inherited { members["inherited"] = inherited.json }
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
        resends = json["resends"]?.bool ?? true
        isProbe = json["probe"]?.bool ?? false
        accessLog = json["accessLog"]?.string
        notesReads = json["notesReads"]?.bool ?? false
        if let rules = json["denials"] {
            // Nothing is served rather than what is denied.
            guard let denials = Denials(json: rules) else { return nil }
            self.denials = denials
        }
        inherited = json["inherited"].flatMap { Inherited($0) }
    }
}

extension ServeRequest.Inherited {
    var json: JSONValue {
        .array(
            [connection, Int32(bitPattern: number), handshake, records, liveFiles, backing, control].map {
                .integer(Int64($0))
            })
    }

    init?(_ json: JSONValue) {
        let numbers = json.array?.compactMap { $0.integer.flatMap { Int32(exactly: $0) } } ?? []
        guard numbers.count == 7 else { return nil }
        self.init(
            connection: numbers[0], number: UInt32(bitPattern: numbers[1]), handshake: numbers[2],
            records: numbers[3], liveFiles: numbers[4], backing: numbers[5], control: numbers[6])
    }
}
