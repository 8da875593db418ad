import ArgumentParser

/// `dfs audit`: the ledger and its signatures.
struct AuditGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Check and read the signed ledger.",
        subcommands: [AuditVerify.self, AuditLog.self])
}
