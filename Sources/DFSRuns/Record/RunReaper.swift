import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem

/// Closes the records of runs whose launcher died.
package struct RunReaper {
    package let repository: Repository

    package init(repository: Repository) { self.repository = repository }

    /// What can be said of a run that the ledger does not say has ended.
    package enum Standing: String, Sendable {
        case running
        /// Its launcher is dead; `dfs` closes the record at the next look.
        case dead
        /// It runs, or ran, on another machine.
        case elsewhere
    }

    package func standing(of run: RunID) -> Standing {
        let live = LiveRun(storeRoot: repository.root, run: run)
        guard let journal = try? live.readJournal(), let json = journal["launcher"],
            let launcher = ProcessIdentity(json: json)
        else { return Files.isDirectory(live.root) ? .elsewhere : .dead }
        switch try? launcher.liveness() {
        case .dead: return .dead
        case .alive: return .running
        default: return .elsewhere
        }
    }

    /// Ends, as `interrupted`, each run of this machine whose launcher is dead, with all that it had written.
    /// `prepare` sets what is recorded, and ends what of the job still lives. Returns the runs that were closed. A run that cannot be closed now stays for the next time.
    @discardableResult
    package func closeDeadRuns(
        by signer: any Signer, prepare: (inout RunSeal, _ journal: JSONValue) -> Void = { _, _ in }
    ) throws(DFSError) -> [RunID] {
        var closed = [RunID]()
        let folders = try LiveRun.all(storeRoot: repository.root)
        guard !folders.isEmpty else { return [] }
        let state = try repository.state()
        for live in folders where standing(of: live.run) == .dead {
            guard let run = state.run(live.run) else {
                // It died before its first entry: nothing was acknowledged.
                try? live.remove()
                continue
            }
            if let end = run.end, !end.isFound || end.outcome != .interrupted {
                try? live.remove()
                continue
            }
            do throws(DFSError) {
                let journal = try live.readJournal() ?? .null
                var seal = RunSeal(repository: repository, live: live)
                prepare(&seal, journal)
                try seal.run(
                    outcome: .interrupted,
                    result: ["reason": "its launcher died", "started": journal["started"] ?? .null], found: true,
                    by: signer)
                closed.append(live.run)
            } catch {
                if error.code == .corrupt { throw error }
            }
        }
        return closed
    }
}
