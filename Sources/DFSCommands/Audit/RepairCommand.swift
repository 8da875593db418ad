import ArgumentParser
import DFSHistory
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem
import Glibc

/// `dfs repair`: puts back what is damaged or missing.
struct RepairCommand: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract:
            "Put back what is damaged or missing, from a directory or a store; exit 1 when something is still missing.")

    @Option(help: ArgumentHelp("Where the bytes may be: any directory, or any store.", valueName: "dir|store"))
    var from: String
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let source = try context.absolute(from)
        guard Files.isDirectory(source) else {
            throw DFSError(
                .operational, "\(source) is not a directory", cause: "what is missing would be looked for in it",
                hint: "dfs repair --help")
        }
        let isStore = Files.exists(source + "/" + StoreDescription.key)
        let root = try context.storeLocation().location
        guard Files.resolved(root) != Files.resolved(source) else {
            throw DFSError(
                .usage, "\(source) is the store itself", cause: "it has nothing that it lacks",
                hint: "dfs repair --help")
        }
        let ledger = isStore ? try LedgerRepair(root: root, replica: source).run() : []
        let repository = try context.repository()
        var report = try context.progress.track("repair") { activity throws(DFSError) in
            try repair(repository, source, isStore: isStore, activity, context)
        }
        report.files = ledger + report.files
        try context.output.report(RepairReport(report: report, location: repository.root, source: source))
        return report.check.problems.isEmpty ? .done : .differences
    }

    private func repair(
        _ repository: Repository, _ source: String, isStore: Bool, _ activity: Progress.Activity,
        _ context: CommandContext
    ) throws(DFSError) -> Repair.Report {
        func run(_ replacements: any ReplacementSource) throws(DFSError) -> Repair.Report {
            try Repair(
                repository: repository, source: replacements, threads: context.jobs, bytes: activity.bytes,
                expected: activity.expectedBytes
            ).run()
        }
        guard isStore else {
            return try run(
                DirectoryReplacements(
                    root: source, parameters: repository.objects.parameters, threads: context.jobs,
                    bytes: activity.bytes))
        }
        // An index of its own: the other store may be a copy of this one, whose index has its place.
        let cache = try RepairCache(in: try context.directories.cache())
        defer { cache.remove() }
        let other = try Repository.open(at: source, cacheRoot: cache.path)
        return try run(StoreReplacements(store: other.objects, threads: context.jobs))
    }
}

struct RepairReport: Report {
    static let schema = "dfs.repair/1"

    let report: Repair.Report
    let location: String
    let source: String

    var json: [String: JSONValue] {
        var members = VerifyReport(report: report.check, location: location).json
        members["source"] = .string(source)
        members["files"] = .array(report.files.map { .string($0) })
        members["restored"] = .integer(Int64(report.objects))
        return members
    }

    func print(to output: Output) throws(DFSError) {
        for file in report.files { try output.line("repaired " + NameText.display(Array(file.utf8))) }
        try VerifyReport(report: report.check, location: location).print(to: output)
        try output.line(
            report.files.isEmpty
                ? "nothing was repaired"
                : "\(Quantity.count(report.files.count, "file")) repaired, \(Quantity.count(report.objects, "object")) from \(source)"
        )
    }
}
