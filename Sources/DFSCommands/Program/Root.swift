import ArgumentParser

/// The command tree. A new command is added to its group here.
struct Root: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dfs",
        abstract: "A history of data, code, runs and machines that you can cd into.",
        version: "dfs " + version,
        groupedSubcommands: groups.filter { !$0.subcommands.isEmpty })

    static let version = "0.1.0"

    private static let groups = [
        CommandGroup(
            name: "Recording", subcommands: [Init.self, CommitCommand.self, Status.self, Tag.self, DatasetGroup.self]),
        CommandGroup(
            name: "Browsing",
            subcommands: [
                List.self, Log.self, Show.self, Concatenate.self, DiskUsage.self, ExportCommand.self, Diff.self,
            ]),
        CommandGroup(name: "Segment", subcommands: []),
        CommandGroup(name: "Mounting", subcommands: [MountCommand.self, Umount.self, Mounts.self, Warm.self]),
        CommandGroup(
            name: "Run",
            subcommands: [
                RunCommand.self, RunsCommand.self, Logs.self, AccessCommand.self, Compare.self, Note.self, Rerun.self,
                Validate.self, CodeGroup.self,
            ]),
        CommandGroup(
            name: "Keeping", subcommands: [Verify.self, RepairCommand.self, CollectCommand.self, Why.self]),
        CommandGroup(name: "Trust", subcommands: [AuditGroup.self]),
        CommandGroup(name: "Machine", subcommands: [Doctor.self, HostGroup.self]),
    ]
}
