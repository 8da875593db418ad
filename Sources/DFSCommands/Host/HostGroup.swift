import ArgumentParser

/// `dfs host`: what is known of machines.
struct HostGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "host", abstract: "Show this machine, or how it differs from that of a run.",
        subcommands: [HostCommand.self, HostDiff.self], defaultSubcommand: HostCommand.self)
}
