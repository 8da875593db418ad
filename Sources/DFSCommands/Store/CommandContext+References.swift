import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem
import Glibc

/// What an argument names, resolved.
struct Target {
    let reference: Reference
    let resolved: Resolver.Resolved
}

extension CommandContext {
    /// Reads and resolves an argument whose path may be any bytes.
    func resolve(_ argument: String, _ resolver: Resolver) throws(DFSError) -> Target {
        let reference = try reference(argument, resolver.state)
        return Target(reference: reference, resolved: try resolver.resolve(reference))
    }

    func reference(_ argument: String, _ state: LedgerState) throws(DFSError) -> Reference {
        try Reference.parse(ArgumentText.bytes(of: argument)) { state.datasets[$0] != nil }
    }

    /// The run that an argument names, `run:` or not; `nil` when it reads as something else. A dataset of that name wins
    /// where `run:` does not stand before it.
    func run(named argument: String, _ resolver: Resolver) throws(DFSError) -> RunRecord? {
        if argument.hasPrefix("run:") || argument.hasPrefix("dfs://run:") {
            guard case .run(let id, let path) = try reference(argument, resolver.state), path.isEmpty else {
                return nil
            }
            return try resolver.run(id)
        }
        guard resolver.state.datasets[argument] == nil, argument == "latest" || isRun(argument, resolver.state) else {
            return nil
        }
        return try resolver.run(argument)
    }

    private func isRun(_ argument: String, _ state: LedgerState) -> Bool { !state.runs(matching: argument).isEmpty }

    /// The run that an argument of a command for runs names.
    func run(_ argument: String, _ resolver: Resolver) throws(DFSError) -> RunRecord {
        let id = argument.hasPrefix("dfs://") ? String(argument.dropFirst(6)) : argument
        return try resolver.run(id.hasPrefix("run:") ? String(id.dropFirst(4)) : id)
    }

    /// Ends the records of runs of this machine whose launcher died, where the store can be written. A failure is only
    /// told: what was asked can be answered without.
    @discardableResult
    func closeDeadRuns(_ repository: Repository) -> [RunID] {
        do throws(DFSError) {
            let reaper = RunReaper(repository: repository)
            guard access(repository.root + "/ledger", W_OK) == 0, try reaper.hasDeadRuns() else { return [] }
            let views = try directories.views()
            let closed = try reaper.closeDeadRuns(
                by: try signer(),
                clear: { run, journal in
                    Self.endJob(of: run, journal)
                    if let place = journal["mountpoint"]?.string { ViewServer.clear(place, below: views) }
                }, prepare: Self.prepare)
            for run in closed { output.say("run \(run.short) was left by its launcher; it is recorded as interrupted") }
            return closed
        } catch {
            output.warn(
                "the records of dead runs cannot be closed: \(error.what)" + (error.cause.map { ": \($0)" } ?? ""))
            return []
        }
    }

    /// Ends what a dead launcher left of its job. After another boot nothing is.
    private static func endJob(of run: RunID, _ journal: JSONValue) {
        guard let namespace = journal["namespace"]?.string, let boot = journal["launcher"]?["boot"]?.string,
            (try? ProcessIdentity.own().boot) == boot
        else { return }
        try? JobProcesses.kill(in: namespace, seeing: RunView.mark(of: run))
    }

    /// Records what the launcher would have recorded.
    private static func prepare(_ seal: inout RunSeal, _ journal: JSONValue) {
        if let project = journal["project-directory"]?.string {
            seal.workFilter = WorkFilter(exclusions: nil, rules: WorkFilter.rules(project: project))
        }
        seal.maximumFileSize = journal["maximum-file"]?.integer.flatMap { UInt64(exactly: $0) }
    }
}

extension RunID {
    /// The last eight digits.
    var short: String { String(uuid.digits.suffix(8)) }
}

extension Digest {
    /// Enough digits to be a reference.
    var short: String { "sha256:" + hex.prefix(12) }
}

extension KeyID {
    /// Enough of the fingerprint to tell keys apart.
    var short: String { String(text.prefix(15)) }
}
