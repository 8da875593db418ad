import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import Glibc

/// Records what a run left: outputs, working files, logs. Exactly one entry ends a run.
package struct RunSeal {
    package let repository: Repository
    package let live: LiveRun
    /// Which of the working files are recorded.
    package var workFilter: (any CaptureFilter)?
    package var maximumFileSize: UInt64?

    package init(repository: Repository, live: LiveRun) {
        self.repository = repository
        self.live = live
    }

    package struct Sealed: Sendable {
        package let outputs: TreeReference
        package let work: TreeReference
        package let logs: TreeReference
        package let notes: CaptureNotes
    }

    /// Captures and appends. `found`: whoever calls found the run dead, and is not its launcher.
    ///
    /// The live folder is removed after the entry stands; a crash in between leaves a folder that the next look removes.
    @discardableResult
    package func run(
        outcome: RunOutcome, result: [String: JSONValue], found: Bool, by signer: any Signer
    ) throws(DFSError) -> Sealed {
        do throws(DFSError) { return try attempt(outcome, result, found, signer) } catch {
            guard error.errno == EACCES else { throw error }
            // The job took away its own permissions; the files are the user's. From the start: what was stored before
            // the failure is gone.
            for folder in [live.outputs, live.work, live.logs] { try Self.makeReadable(folder) }
            return try attempt(outcome, result, found, signer)
        }
    }

    private func attempt(
        _ outcome: RunOutcome, _ result: [String: JSONValue], _ found: Bool, _ signer: any Signer
    ) throws(DFSError) -> Sealed {
        let state = try repository.state()
        guard let run = state.run(live.run) else {
            throw DFSError(.noReference, "run \(live.run) is not in the ledger", hint: "dfs doctor --repair")
        }
        let writer = StoreWriter(store: repository.objects)
        let outputs = try capture(live.outputs, writer, filter: nil, limit: nil)
        let work = try capture(live.work, writer, filter: workFilter, limit: maximumFileSize)
        let logs = try capture(live.logs, writer, filter: nil, limit: nil)
        var record: [String: JSONValue] = [
            "format": "dfs.result/1", "run": .string(live.run.description), "state": .string(outcome.rawValue),
            "outputs": outputs.summary.json, "work": work.summary.json, "logs": logs.summary.json,
            "outputs-capture": outputs.notes.json, "work-capture": work.notes.json,
        ]
        record.merge(result) { $1 }
        let address = try writer.putHere(.object(record))
        let finished = try writer.finish(base: (run.record.packs, run.record.pack))
        let ended = LedgerEvent.RunFinished(
            run: live.run, outcome: outcome, outputs: outputs.summary, work: work.summary, logs: logs.summary,
            record: RecordReference(record: address, packs: finished.packs, pack: finished.pack))
        let entry = try repository.append(by: signer) { state throws(DFSError) in
            // Somebody else may have closed it meanwhile; the launcher's own word may still follow another's.
            if let end = state.run(live.run)?.end, found || !end.isFound { return nil }
            return [found ? .runInterrupted(ended) : .runFinished(ended)]
        }
        if entry != nil { repository.remember(finished) } else { writer.abandon() }
        try live.remove()
        return Sealed(outputs: outputs.summary, work: work.summary, logs: logs.summary, notes: work.notes)
    }

    private func capture(
        _ root: String, _ writer: StoreWriter, filter: (any CaptureFilter)?, limit: UInt64?
    ) throws(DFSError) -> CaptureResult {
        try Files.makeDirectories(root)
        let options = CaptureOptions(filter: filter, skipSpecial: true, maximumFileSize: limit)
        return try Capture(
            root: root, writer: writer, reader: repository.reader, cache: nil, previous: nil, options: options
        ).run()
    }

    private static func makeReadable(_ path: String) throws(DFSError) {
        guard let status = try FileStatus.of(path: path), status.kind == .directory else { return }
        chmod(path, mode_t(status.mode | 0o700))
        let directory = try OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY)
        for name in try DirectoryListing.names(of: directory) { try makeReadable(name, in: directory) }
    }

    private static func makeReadable(_ name: [UInt8], in parent: OwnedDescriptor) throws(DFSError) {
        guard let status = try FileStatus.of(name, at: parent.raw) else { return }
        if status.kind == .file { _ = withCName(name) { fchmodat(parent.raw, $0, mode_t(status.mode | 0o400), 0) } }
        guard status.kind == .directory else { return }
        _ = withCName(name) { fchmodat(parent.raw, $0, mode_t(status.mode | 0o700), 0) }
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
        let directory = try OwnedDescriptor.open(bytes: name, flags, at: parent.raw)
        for child in try DirectoryListing.names(of: directory) { try makeReadable(child, in: directory) }
    }
}
