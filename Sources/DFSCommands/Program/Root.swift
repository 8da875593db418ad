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
        CommandGroup(name: "Recording", subcommands: []),
        CommandGroup(name: "Browsing", subcommands: []),
        CommandGroup(name: "Segment", subcommands: []),
        CommandGroup(name: "Mounting", subcommands: [MountCommand.self, Umount.self, Mounts.self]),
        CommandGroup(name: "Run", subcommands: [RunCommand.self]),
        CommandGroup(name: "Keeping", subcommands: []),
        CommandGroup(name: "Trust", subcommands: []),
        CommandGroup(name: "Machine", subcommands: [Doctor.self]),
    ]
}
