import CLinux
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
        package let evidence: TreeReference?
        package let notes: CaptureNotes
        /// How many paths of the project the job removed.
        package let deleted: Int
        /// What looks like secrets in the logs and working files.
        package let secrets: [LocatedSecret]
        /// `false` when the run had been ended before, by whoever may.
        package let isRecorded: Bool
    }

    /// What is recorded, by where it stands in the live folder.
    private static let outputs = ["outputs"], work = ["layer", "upper"], logs = ["logs"]
    private static let evidence = ["evidence"]

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
            let folder = try openFolder(found)
            for path in [Self.outputs, Self.work, Self.logs, Self.evidence] { try Self.makeReadable(path, in: folder) }
            return try attempt(outcome, result, found, signer)
        }
    }

    private func attempt(
        _ outcome: RunOutcome, _ result: [String: JSONValue], _ found: Bool, _ signer: any Signer
    ) throws(DFSError) -> Sealed {
        try repository.storingAgain("run \(live.run)") { state throws(DFSError) in
            try self.attempt(outcome, result, found, signer, state)
        }
    }

    /// `nil` when packs that the record would have relied on were condemned meanwhile.
    private func attempt(
        _ outcome: RunOutcome, _ result: [String: JSONValue], _ found: Bool, _ signer: any Signer, _ state: LedgerState
    ) throws(DFSError) -> Sealed? {
        guard let run = state.run(live.run) else {
            throw DFSError(.noReference, "run \(live.run) is not in the ledger", hint: "dfs doctor --repair")
        }
        let writer = StoreWriter(store: repository.objects)
        let secrets = SecretObserver()
        let left = try left(of: run, state, found, writer, secrets)
        var record: [String: JSONValue] = [
            "format": "dfs.result/1", "run": .string(live.run.description), "state": .string(outcome.rawValue),
            "outputs": left.outputs.json, "work": left.work.json, "logs": left.logs.json,
            "evidence": left.evidence?.json ?? .null,
            "outputs-capture": left.outputsNotes.json, "work-capture": left.workNotes.json,
            "work-deleted": [
                "count": .integer(Int64(left.deleted.count)),
                "paths": .array(left.deleted.prefix(Self.listed).map { .string(NameText.encode($0)) }),
            ],
            "secrets": secrets.json,
        ]
        record["evidence-capture"] = left.evidenceNotes.flatMap { $0.unread.isEmpty ? nil : $0.json }
        record.merge(result) { $1 }
        let address = try writer.putHere(.object(record))
        let finished = try writer.finish(base: (left.base.packs, left.base.pack))
        let ended = LedgerEvent.RunFinished(
            run: live.run, outcome: outcome, outputs: left.outputs, work: left.work, logs: left.logs,
            evidence: left.evidence,
            record: RecordReference(record: address, packs: finished.packs, pack: finished.pack))
        let reliance = Reliance(finished, events: left.events, began: state)
        let recording = try repository.record(by: signer, relyingOn: reliance) { state throws(DFSError) in
            // Somebody else may have closed it meanwhile; the launcher's own word may still follow another's.
            if let end = state.run(live.run)?.end, found || !end.isFound { return nil }
            return [found ? .runInterrupted(ended) : .runFinished(ended)]
        }
        let isRecorded: Bool
        switch recording {
        case .entry:
            repository.remember(finished)
            isRecorded = true
        case .nothing:
            writer.abandon()
            isRecorded = false
        case .condemned:
            writer.abandon()
            return nil
        }
        if run.annotation(OutputRecorder.annotation) != nil { OutputRecorder.forget(run.id, repository, state) }
        // The run is recorded whatever comes of the folder: what is left of it the next look removes.
        try? live.remove()
        return Sealed(
            outputs: left.outputs, work: left.work, logs: left.logs, evidence: left.evidence, notes: left.workNotes,
            deleted: left.deleted.count,
            secrets: secrets.found, isRecorded: isRecorded)
    }

    /// What a run left, and the packs on which that rests.
    private struct Left {
        let outputs, work, logs: TreeReference
        let evidence: TreeReference?
        let outputsNotes, workNotes: CaptureNotes
        /// Paths of the project that the job removed.
        var deleted: [[UInt8]] = []
        var evidenceNotes: CaptureNotes?
        let base: RecordReference
        /// Events on whose packs what was taken without reading rests.
        var events: [EventPacks] = []
    }

    private func left(
        of run: RunRecord, _ state: LedgerState, _ found: Bool, _ writer: StoreWriter, _ secrets: SecretObserver
    ) throws(DFSError) -> Left {
        // Somebody took the launcher for dead, recorded the folder and removed it.
        if !found, let end = run.end, end.isFound, try FileStatus.of(path: live.root) == nil,
            let outputs = end.outputs, let work = end.work, let logs = end.logs
        {
            return Left(
                outputs: outputs, work: work, logs: logs, evidence: end.evidence, outputsNotes: CaptureNotes(),
                workNotes: CaptureNotes(),
                base: end.record)
        }
        let folder = try openFolder(found)
        // What was recorded while the run went on is not read again.
        let recorded = run.annotation(OutputRecorder.annotation)
        let cache = try recorded.map { _ throws(DFSError) in try OutputRecorder.cache(of: run, repository, state) }
        let outputs = try capture(Self.outputs, in: folder, writer, filter: nil, limit: nil, cache)
        let work = try capture(
            Self.work, in: folder, writer, filter: workFilter, limit: maximumFileSize, inspector: secrets.below("work"))
        let (workNotes, deleted) = Self.tellingDeleted(work.notes, in: try Self.open(Self.work, in: folder))
        let logs = try capture(
            Self.logs, in: folder, writer, filter: nil, limit: nil, inspector: secrets.below("logs"))
        // Never a reason that a run is not recorded: what somebody still writes is left out, and named.
        let evidence = try capture(
            Self.evidence, in: folder, writer, filter: nil, limit: nil, leavesOutUnread: true)
        return Left(
            outputs: outputs.summary, work: work.summary, logs: logs.summary,
            evidence: evidence.summary, outputsNotes: outputs.notes,
            workNotes: workNotes, deleted: deleted, evidenceNotes: evidence.notes,
            base: recorded?.record ?? run.record,
            events: [cache?.rows].compactMap { $0 })
    }

    private static let listed = 1000

    /// In the upper part of an overlay a character device 0/0 says that the name was removed: no special file is left out.
    private static func tellingDeleted(
        _ notes: CaptureNotes, in folder: OwnedDescriptor
    ) -> (notes: CaptureNotes, deleted: [[UInt8]]) {
        var notes = notes
        func isDeleted(_ path: [UInt8]) -> Bool {
            var status = stat()
            let code = withCName(path) { fstatat(folder.raw, $0, &status, AT_SYMLINK_NOFOLLOW) }
            return code == 0 && status.st_mode & S_IFMT == S_IFCHR && status.st_rdev == 0
        }
        let deleted = notes.special.filter(isDeleted)
        let removed = Set(deleted)
        notes.special.removeAll { removed.contains($0) }
        return (notes, deleted)
    }

    /// Opens the run's folder, which no link can stand in for. Whoever is not its launcher must own it: others can make
    /// names under `live/` too, and what is captured is read with the rights of whoever calls.
    private func openFolder(_ found: Bool) throws(DFSError) -> OwnedDescriptor {
        let folder = try Beneath.directory([Array(live.run.description.utf8)], below: Files.parent(live.root))
        let owner = try FileStatus.of(folder).uid
        guard !found || owner == geteuid() else {
            throw DFSError(.refused, "\(live.root) is another user's", hint: "ls -ld \(live.root)")
        }
        return folder
    }

    /// Opens a directory below the run's folder, made if need be, without following a link.
    private static func open(_ path: [String], in folder: OwnedDescriptor) throws(DFSError) -> OwnedDescriptor {
        var current = folder
        for name in path {
            mkdirat(current.raw, name, 0o755)
            current = try OwnedDescriptor.open(name, clinux_O_PATH | O_DIRECTORY | O_NOFOLLOW, at: current.raw)
        }
        return current
    }

    private func capture(
        _ path: [String], in folder: OwnedDescriptor, _ writer: StoreWriter, filter: (any CaptureFilter)?,
        limit: UInt64?, _ cache: StatCache? = nil, inspector: (any CaptureInspector)? = nil,
        leavesOutUnread: Bool = false
    ) throws(DFSError) -> CaptureResult {
        let directory = try Self.open(path, in: folder)
        var options = CaptureOptions(filter: filter, skipSpecial: true, maximumFileSize: limit, inspector: inspector)
        options.leavesOutUnread = leavesOutUnread
        return try Capture(
            root: ([live.root] + path).joined(separator: "/"), opened: directory, writer: writer,
            reader: repository.reader, cache: cache, previous: nil, options: options
        ).run()
    }

    private static func makeReadable(_ path: [String], in folder: OwnedDescriptor) throws(DFSError) {
        let place = try open(path, in: folder)
        chmod("/proc/self/fd/\(place.raw)", mode_t(try FileStatus.of(place).mode | 0o700))
        let directory = try OwnedDescriptor.open(".", O_RDONLY | O_DIRECTORY, at: place.raw)
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
