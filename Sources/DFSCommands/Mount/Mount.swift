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

    /// For kernels that have it, to see what those do that have not.
    @Flag(help: ArgumentHelp("Do not ask the kernel again for what a dead server had taken.", visibility: .hidden))
    var noResend = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        if let seal {
            return try SealCommand(context: context, reference: seal, path: path, allowOther: allowOther).run()
        }
        let repository = try context.repository()
        let mountpoint = try context.mountpoint(path)
        let registry = try context.mountRegistry()
        if try MountClearing(mountpoint: mountpoint, registry: registry).clear() == .recovered,
            let record = registry.record(mountpoint), record.store == repository.root,
            let supervision = registry.supervision(of: mountpoint)
        {
            try context.output.report(
                MountReport(
                    mountpoint: mountpoint, store: record.store, pid: supervision.server ?? record.server.pid,
                    supervisor: supervision.supervisor.pid, serving: nil))
            return .done
        }
        var request = ServeRequest(
            store: repository.root, cacheRoot: try context.directories.cache(), mountpoint: mountpoint)
        request.allowOther = allowOther
        request.serve = serve
        request.hotLimit = try context.cacheLimit()
        request.resends = !noResend
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
                mountpoint: mountpoint, store: repository.root, pid: server.server, supervisor: server.child.pid,
                serving: server.serving))
        return .done
    }
}

private struct MountReport: Report {
    static let schema = "dfs.mount/1"
    let mountpoint: String
    let store: String
    let pid: Int32
    let supervisor: Int32
    let serving: Serving?

    var json: [String: JSONValue] {
        [
            "mountpoint": .string(mountpoint), "store": .string(store), "pid": .integer(Int64(pid)),
            "supervisor": .integer(Int64(supervisor)),
            "serve": serving.map { .string($0.mode.rawValue) } ?? .null,
            "why": serving.map { .string($0.why) } ?? .null,
        ]
    }

    func print(to output: Output) throws(DFSError) { try output.line(mountpoint) }
}
