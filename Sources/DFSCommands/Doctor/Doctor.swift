import ArgumentParser
import DFSModel
import DFSSystem

/// `dfs doctor`: what is set up how, and what is wrong with it.
struct Doctor: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Show what is set up, and what is wrong with it.")

    @Flag(help: "Close the records of dead runs and sweep what interrupted commands left.") var repair = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let report = DoctorReport(
            findings: Self.checks.flatMap { $0(context) } + repairCaches(context)
                + MountChecks(context: context, repairs: repair).findings()
                + StoreChecks(context: context, repairs: repair).findings())
        try context.output.report(report)
        return report.findings.contains { $0.verdict == .problem } ? .differences : .done
    }

    /// Each looks at one thing and never fails: what it cannot find out is a finding.
    private static let checks: [@Sendable (CommandContext) -> [DoctorFinding]] = [store, project, directories]

    private static func store(_ context: CommandContext) -> [DoctorFinding] {
        finding("store") { () throws(DFSError) in
            let store = try context.storeLocation()
            let exists = store.isRemote || Files.isDirectory(store.location)
            let note = "named by \(store.namedBy)"
            return DoctorFinding(
                "store", exists || store.isDefault ? .good : .problem, store.location,
                note: exists ? note : store.isDefault ? "default; the first commit makes it" : note + "; not there",
                hint: exists || store.isDefault ? nil : "dfs init " + ShellText.quote(store.location),
                facts: [
                    "level": .string(store.levelName), "namedBy": .string(store.namedBy),
                    "exists": store.isRemote ? .null : .bool(exists),
                ])
        }
    }

    private static func project(_ context: CommandContext) -> [DoctorFinding] {
        do {
            guard let project = try ProjectFile.find(from: try context.environment.workingDirectory) else { return [] }
            return [DoctorFinding("project", .good, project.path)]
                + project.warnings.map { DoctorFinding("project", .note, $0) }
        } catch { return [DoctorFinding("project", error)] }
    }

    private static func directories(_ context: CommandContext) -> [DoctorFinding] {
        let directories = context.directories
        return finding("cache") { () throws(DFSError) in DoctorFinding("cache", .good, try directories.cache()) }
            + finding("runtime") { () throws(DFSError) in DoctorFinding("runtime", .good, try directories.runtime()) }
            + finding("key") { () throws(DFSError) in
                let file = try directories.keyFile()
                let exists = Files.exists(file)
                return DoctorFinding(
                    "key", .good, file, note: exists ? nil : "made on first use", facts: ["exists": .bool(exists)])
            }
    }

    /// Says something only where there is something to say.
    private func repairCaches(_ context: CommandContext) -> [DoctorFinding] {
        do throws(DFSError) {
            let (found, removed) = try RepairCache.abandoned(in: try context.directories.cache(), removing: repair)
            guard found > 0 else { return [] }
            let what = Quantity.count(found, "directory", plural: "directories")
            return [
                removed == found
                    ? DoctorFinding("cache", .good, "swept \(what) of killed repairs")
                    : DoctorFinding("cache", .note, "\(what) left by killed repairs", hint: "dfs doctor --repair")
            ]
        } catch { return [DoctorFinding("cache", error)] }
    }

    private static func finding(_ subject: String, _ look: () throws(DFSError) -> DoctorFinding) -> [DoctorFinding] {
        do { return [try look()] } catch { return [DoctorFinding(subject, error)] }
    }
}

extension StoreLocation {
    fileprivate var levelName: String {
        switch level {
        case .option: "option"
        case .variable: "variable"
        case .project: "project"
        case .user: "user"
        case .system: "system"
        case .fallback: "default"
        }
    }
}
