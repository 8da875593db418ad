import ArgumentParser
import DFSFuse
import DFSHistory
import DFSModel
import DFSSystem
import Glibc

enum ServeChoice: String, ExpressibleByArgument, CaseIterable {
    case auto, stateless
}

/// `dfs mount [PATH]`: the whole store as a directory. Returns once it serves.
struct MountCommand: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "mount", abstract: "Show the whole store as a directory; returns once it serves.")

    @Argument(help: "An empty directory (default: /deepops where it may be mounted on, else ~/deepops).")
    var path: String?

    @Option(help: "How files are served. auto chooses; this version serves stateless.")
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
                    supervisor: supervision.supervisor.pid))
            return .done
        }
        var request = ServeRequest(
            store: repository.root, cacheRoot: try context.directories.cache(), mountpoint: mountpoint)
        request.allowOther = allowOther
        request.resends = !noResend
        request.registry = registry.directory
        if foreground {
            let output = context.output
            try Serve.run(request) { message in output.say(message) }
            return .done
        }
        request.log = try context.directories.cache() + "/\(repository.id)/mount.log"
        let server = try ServerProcess.start(request, supervised: true).waitUntilServing()
        try context.output.report(
            MountReport(
                mountpoint: mountpoint, store: repository.root, pid: server.server, supervisor: server.child.pid))
        return .done
    }
}

private struct MountReport: Report {
    static let schema = "dfs.mount/1"
    let mountpoint: String
    let store: String
    let pid: Int32
    let supervisor: Int32

    var json: [String: JSONValue] {
        [
            "mountpoint": .string(mountpoint), "store": .string(store), "pid": .integer(Int64(pid)),
            "supervisor": .integer(Int64(supervisor)), "serve": "stateless",
        ]
    }

    func print(to output: Output) throws(DFSError) { try output.line(mountpoint) }
}
