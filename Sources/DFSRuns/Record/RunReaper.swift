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

    /// Whether `closeDeadRuns` would look closer: a folder of this user's belongs to a dead launcher, or has no journal.
    package func hasDeadRuns() throws(DFSError) -> Bool {
        try LiveRun.all(storeRoot: repository.root).contains { live in
            live.isOwn && (standing(of: live.run) == .dead || !Files.exists(live.journal))
        }
    }

    /// Ends, as `interrupted`, each run of this user and machine whose launcher is dead, with all that it had written.
    /// `clear` ends what of a dead run still lives, `prepare` sets what is recorded. Returns the runs that were closed.
    /// A run that cannot be closed now stays for the next time.
    @discardableResult
    package func closeDeadRuns(
        by signer: any Signer, clear: (RunID, _ journal: JSONValue) -> Void = { _, _ in },
        prepare: (inout RunSeal, _ journal: JSONValue) -> Void = { _, _ in }
    ) throws(DFSError) -> [RunID] {
        var closed = [RunID]()
        let folders = try LiveRun.all(storeRoot: repository.root).filter(\.isOwn).map { live in
            (live: live, standing: standing(of: live.run), journal: try? live.readJournal())
        }
        guard !folders.isEmpty else { return [] }
        // Read after that: whoever is dead by now has said all that it had to say.
        let state = try repository.state()
        for (live, standing, journal) in folders where live.isOwn {
            let run = state.run(live.run)
            if standing == .dead { clear(live.run, journal ?? .null) }
            if let end = run?.end {
                // Left over, unless its launcher may still correct what was found.
                if !end.isFound || standing == .dead || journal == nil { try? live.remove() }
            } else if standing == .dead {
                // Without an entry it died before anything was acknowledged.
                guard run != nil else {
                    try? live.remove()
                    continue
                }
                do throws(DFSError) {
                    if try close(live, journal ?? .null, signer, prepare) { closed.append(live.run) }
                } catch {
                    if error.code == .corrupt { throw error }
                }
            } else if run == nil, journal == nil, isAbandoned(live) {
                try? live.remove()
            }
        }
        return closed
    }

    /// A folder in which a launcher died before it had written its journal: nothing was acknowledged. One that was made
    /// just now may be a launcher's that is about to.
    private func isAbandoned(_ live: LiveRun) -> Bool {
        guard let status = try? FileStatus.of(path: live.root) else { return false }
        return status.modified < Clock.now().adding(seconds: -3600)
    }

    /// Makes the statement of what the run opened from what its watchers wrote, and leaves that as well. `nil` where nothing
    /// was watched.
    private func accesses(of live: LiveRun) -> JSONValue? {
        let isWatched = AccessLogName.all.contains { Files.exists(live.evidence + "/" + $0) }
        guard isWatched, !Files.exists(live.evidence + "/" + AccessLogName.statement) else { return nil }
        do throws(DFSError) {
            let state = try repository.state()
            guard let run = state.run(live.run) else { return nil }
            let statement = try AccessStatement(
                of: run, folder: live.evidence, repository: repository, state: state, ended: Clock.now(),
                interrupted: "the launcher was killed: what it had not been told yet is missing")
            try statement.write(folder: live.evidence)
            return statement.summary
        } catch { return ["unknown": .string(error.what)] }
    }

    /// `false` when somebody else was faster.
    private func close(
        _ live: LiveRun, _ journal: JSONValue, _ signer: any Signer, _ prepare: (inout RunSeal, JSONValue) -> Void
    ) throws(DFSError) -> Bool {
        var seal = RunSeal(repository: repository, live: live)
        prepare(&seal, journal)
        var result: [String: JSONValue] = [
            "reason": "its launcher died", "actor": "unknown", "started": journal["started"] ?? .null,
        ]
        if let access = accesses(of: live) { result["access"] = access }
        return try seal.run(outcome: .interrupted, result: result, found: true, by: signer).isRecorded
    }
}
