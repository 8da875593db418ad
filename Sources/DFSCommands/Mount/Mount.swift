import ArgumentParser
import DFSFuse
import DFSHistory
import DFSModel
import DFSSystem
import DFSVirtual
import Glibc

/// `dfs mount [PATH]`: the whole store as a directory. Returns once it serves.
struct MountCommand: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "mount", abstract: "Show the whole store as a directory; returns once it serves.")

    @Argument(help: "An empty directory (default: /deepops where it may be mounted on, else ~/deepops).")
    var path: String?

    @Option(help: "Mount this version alone on PATH, served by the kernel itself (needs root).")
    var seal: String?

    @Option(help: "How files are served; auto chooses, and `dfs mounts` says why.")
    var serve: ServeChoice = .auto

    @Flag(help: "Serve in this process and stay.")
    var foreground = false

    @Flag(help: "Let other users in, as far as the store's own permissions would.")
    var allowOther = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        if let seal { return try SealCommand(context: context, reference: seal, path: path).run() }
        let repository = try context.repository()
        let mountpoint = try context.mountpoint(path)
        let registry = try context.mountRegistry()
        try Self.clearStale(mountpoint, registry)
        var request = ServeRequest(
            store: repository.root, cacheRoot: try context.directories.cache(), mountpoint: mountpoint)
        request.allowOther = allowOther
        request.serve = serve
        request.hotLimit = try context.cacheLimit()
        request.registry = registry.directory
        if foreground {
            let output = context.output
            try Serve.run(request) { message in output.say(message) }
            return .done
        }
        request.log = try context.directories.cache() + "/\(repository.id)/mount.log"
        let server = try ServerProcess.start(request).waitUntilServing()
        try context.output.report(
            MountReport(
                mountpoint: mountpoint, store: repository.root, pid: server.child.pid, serving: server.serving))
        return .done
    }

    /// Takes away a mount of ours whose daemon is dead; the kernel answers ENOTCONN there and would for ever.
    static func clearStale(_ mountpoint: String, _ registry: MountRegistry) throws(DFSError) {
        // The mount itself is asked: the registry may name the server of an earlier one.
        guard let mount = try MountTable.mount(at: mountpoint), mount.isOurs, try MountTable.isStale(mount) else {
            return
        }
        MountTable.abort(mount)
        try MountTable.unmount(mountpoint, lazy: true)
        registry.remove(mountpoint)
    }
}

private struct MountReport: Report {
    static let schema = "dfs.mount/1"
    let mountpoint: String
    let store: String
    let pid: Int32
    let serving: Serving?

    var json: [String: JSONValue] {
        [
            "mountpoint": .string(mountpoint), "store": .string(store), "pid": .integer(Int64(pid)),
            "serve": serving.map { .string($0.mode.rawValue) } ?? .null,
            "why": serving.map { .string($0.why) } ?? .null,
        ]
    }

    func print(to output: Output) throws(DFSError) { try output.line(mountpoint) }
}
