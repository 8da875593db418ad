import ArgumentParser
import DFSChunking
import DFSHistory
import DFSModel
import DFSStore
import DFSSystem
import Glibc

/// `dfs init`: makes a store.
struct Init: DFSCommand {
    static let configuration = CommandConfiguration(commandName: "init", abstract: "Make a store.")

    @Argument(help: "Where: a directory that is absent or empty (default: the configured store).") var store: String?
    @Option(help: ArgumentHelp("Let the members of this group write to it.", valueName: "group")) var shared: String?
    @Option(help: ArgumentHelp("Files of at least this get packs of their own (default: 32M).", valueName: "size"))
    var singleFile: String?
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let location = try StoreLocator(environment: context.environment).locate(option: store ?? context.storeOption)
        guard !location.isRemote else {
            throw DFSError(
                .operational, "cannot make \(location.location)", cause: "this version keeps stores in directories",
                hint: "dfs init DIRECTORY")
        }
        let group = try shared.map { name throws(DFSError) in try Self.group(name) }
        var parameters = StoreParameters.standard
        if let singleFile { try Self.set(&parameters, singleFile: singleFile) }
        try Repository.create(at: location.location, signer: try context.signer(), parameters: parameters)
        if let group { try Self.share(location.location, group) }
        let repository = try Repository.open(at: location.location, cacheRoot: try context.directories.cache())
        try context.output.report(
            InitReport(location: location.location, store: repository.id, shared: shared, namedBy: location.namedBy))
        if location.level == .option {
            context.output.say("use it with DFS_STORE=\(ShellText.quote(location.location)) or --store")
        }
        return .done
    }

    /// Files of one chunk are never packs of their own: a low threshold needs small chunks.
    private static func set(_ parameters: inout StoreParameters, singleFile text: String) throws(DFSError) {
        let size = try ByteCount.parse(text).value
        guard size >= 8 << 10 else {
            throw DFSError(
                .usage, "--single-file \(text) is too small", cause: "it must be 8K or more",
                hint: "dfs init --single-file 1M")
        }
        parameters.singleFile = size
        guard size <= UInt64(parameters.chunk.maximum) else { return }
        let average = 1 << (Int.bitWidth - 1 - (Int(size) / 4).leadingZeroBitCount)
        parameters.chunk = ChunkParameters(minimum: average / 4, average: average, maximum: Int(size) - 1)
    }

    private static func group(_ name: String) throws(DFSError) -> gid_t {
        if let entry = getgrnam(name) { return entry.pointee.gr_gid }
        throw DFSError(.usage, "there is no group \(name)", hint: "getent group")
    }

    /// Gives the folders to the group, whatever the umask; what is made in them later inherits it.
    private static func share(_ root: String, _ group: gid_t) throws(DFSError) {
        for folder in ["", "/packs", "/ledger", "/ledger/000000000", "/live", "/tmp"] where Files.exists(root + folder)
        {
            let path = root + folder
            try System.call("cannot give \(path) to the group") { chown(path, uid_t.max, group) }
            // Of runs in progress each member may remove or rename only his own.
            let mode: mode_t = folder == "/live" ? 0o3775 : 0o2775
            try System.call("cannot set the mode of \(path)") { chmod(path, mode) }
        }
    }
}

struct InitReport: Report {
    static let schema = "dfs.init/1"

    let location: String
    let store: StoreID
    let shared: String?
    let namedBy: String

    var json: [String: JSONValue] {
        [
            "location": .string(location), "store": .string(store.description),
            "group": shared.map { .string($0) } ?? .null, "namedBy": .string(namedBy),
        ]
    }

    func print(to output: Output) throws(DFSError) { try output.line("\(location)  store \(store)") }
}
