import ArgumentParser
import DFSFuse
import DFSModel
import DFSSystem

/// `dfs mounts`: the mounts of this user, and whether they serve.
struct Mounts: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "mounts", abstract: "List mounts and how they serve.")

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let registry = try context.mountRegistry()
        let standing = try MountTable.mounts()
        var rows = [MountRow]()
        for record in registry.all() {
            let mount = standing.last { $0.mountpoint == record.mountpoint && $0.isOurs }
            if record.isSealed {
                guard let mount = standing.last(where: { $0.mountpoint == record.mountpoint }), mount.type == "erofs"
                else {
                    registry.remove(record.mountpoint)
                    continue
                }
                rows.append(
                    MountRow(
                        record: record, supervision: nil, isSupervised: false, state: "serving",
                        age: max(0, context.clock().seconds - record.started.seconds), requests: nil))
                continue
            }
            let supervision = registry.supervision(of: record.mountpoint)
            let isSupervised = supervision?.isAlive == true
            let isServed = try record.server.liveness() == .alive
            let isAlive = isSupervised || isServed
            if mount == nil, !isAlive {
                registry.remove(record.mountpoint)
                continue
            }
            let state = try isAlive ? Self.state(mount, isSupervised ? supervision : nil) : "dead"
            let requests = state == "serving" ? Self.requests(record.mountpoint) : nil
            rows.append(
                MountRow(
                    record: record, supervision: supervision, isSupervised: isSupervised, state: state,
                    age: max(0, context.clock().seconds - record.started.seconds), requests: requests))
        }
        try context.output.list(rows, whenEmpty: "nothing is mounted; dfs mount does it")
        return .done
    }

    private static func state(
        _ mount: MountTable.Mount?, _ supervision: MountRegistry.Supervision?
    ) throws(DFSError) -> String {
        if let supervision, supervision.state != .serving { return supervision.state.rawValue }
        guard let mount else { return "unmounted" }
        return switch try MountTable.state(of: mount) {
        case .serving: "serving"
        case .hanging: "hanging"
        case .stale: "dead"
        }
    }

    /// All requests that the kernel sent. Only asked of a server that answers: others would hold this process.
    private static func requests(_ mountpoint: String) -> JSONValue? {
        guard let bytes = try? Files.read(mountpoint + "/.dfs/stats", limit: 1 << 20) else { return nil }
        return try? JSONValue.parse(bytes)
    }
}

private struct MountRow: Row {
    static let schema = "dfs.mounts/1"
    static let columns = [
        Column("MOUNTPOINT"), Column("STORE"), Column("SERVE"), Column("PID", .right), Column("RESTARTS", .right),
        Column("STATE"), Column("WHY"),
    ]

    let record: MountRegistry.Record
    let supervision: MountRegistry.Supervision?
    let isSupervised: Bool
    let state: String
    let age: Int64
    let requests: JSONValue?

    /// What the mount says itself, if it serves.
    private var serve: String { requests?["serve"]?.string ?? record.serve }
    private var why: String { requests?["why"]?.string ?? record.why }

    /// Whether somebody sees to it that it goes on; a sealed view needs nobody.
    private var isKept: Bool { isSupervised || record.isSealed }
    private var server: Int32 { isSupervised ? supervision?.server ?? record.server.pid : record.server.pid }

    var cells: [Cell] {
        [
            .text(record.mountpoint), .text(record.store), .text(serve),
            .text(record.isSealed ? "-" : "\(server)"),
            .text("\(supervision?.restarts ?? 0)"),
            .text(state + (isKept ? "" : ", unsupervised"), state == "serving" && isKept ? .plain : .bad), .text(why),
        ]
    }

    var json: [String: JSONValue] {
        [
            "mountpoint": .string(record.mountpoint), "store": .string(record.store), "serve": .string(serve),
            "why": .string(why), "pid": record.isSealed ? .null : .integer(Int64(server)),
            "supervisor": isSupervised ? supervision.map { .integer(Int64($0.supervisor.pid)) } ?? .null : .null,
            "restarts": .integer(Int64(supervision?.restarts ?? 0)),
            "restart_reason": supervision?.reason.map { .string($0) } ?? .null,
            "restarted": supervision?.restarted.map { .string($0.description) } ?? .null,
            "state": .string(state), "started": .string(record.started.description), "seconds": .integer(age),
            "log": record.log.map { .string($0) } ?? .null, "stats": requests ?? .null,
        ]
    }
}
