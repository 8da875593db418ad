import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem

/// Records, while a run goes on, the outputs that it has made read-only: whoever has acknowledged a checkpoint that way has it
/// in the history, whatever becomes of the run.
package struct OutputRecorder: Sendable {
    package static let annotation = "outputs"

    private let repository: Repository
    private let live: LiveRun
    private let signer: any Signer

    package init(repository: Repository, live: LiveRun, signer: any Signer) {
        self.repository = repository
        self.live = live
        self.signer = signer
    }

    /// Only these files, and the directories on the way to them.
    private struct Only: CaptureFilter {
        let files: Set<[UInt8]>
        let directories: Set<[UInt8]>

        init(_ files: Set<[UInt8]>) {
            self.files = files
            directories = files.reduce(into: []) { out, path in
                for (i, byte) in path.enumerated() where byte == 0x2f { out.insert(Array(path[..<i])) }
            }
        }

        func includes(_ path: [UInt8], isDirectory: Bool) -> Bool {
            isDirectory ? directories.contains(path) : files.contains(path)
        }
    }

    /// Records `files` (relative to the outputs, slash-joined) as the outputs that are finished so far.
    package func record(_ files: Set<[UInt8]>) throws(DFSError) {
        try repository.storingAgain("outputs of run \(live.run)") { state throws(DFSError) in
            let writer = StoreWriter(store: repository.objects)
            do throws(DFSError) {
                if try record(Only(files), state, writer) { return () }
            } catch {
                writer.abandon()
                throw error
            }
            writer.abandon()
            return nil
        }
    }

    private func record(_ filter: Only, _ state: LedgerState, _ writer: StoreWriter) throws(DFSError) -> Bool {
        guard let run = state.run(live.run), run.end == nil else { return true }
        let before = run.annotation(Self.annotation)
        let cache = try Self.cache(of: run, repository, state)
        var options = CaptureOptions(filter: filter, skipSpecial: true)
        // One that goes on changing, or goes, is taken the next time.
        options.leavesOutUnread = true
        let capture = try Capture(
            root: live.outputs, writer: writer, reader: repository.reader, cache: cache,
            previous: before.flatMap { note in note.tree.map { .root($0, modified: note.time) } },
            options: options
        ).run()
        let base = before?.record ?? run.record
        let annotation = Annotation(repository: repository, run: run.id, name: Self.annotation)
        let (event, finished) = try annotation.event(
            ["tree": capture.summary.json], text: nil, tree: capture.summary, base: (base.packs, base.pack), writer)
        let events = [cache.rows, before.map { EventPacks($0.record) }].compactMap { $0 }
        let recording = try repository.record(by: signer, relyingOn: Reliance(finished, events: events, began: state)) {
            $0.run(live.run)?.end == nil ? [.runAnnotated(event)] : nil
        }
        switch recording {
        case .entry:
            repository.remember(finished)
            try? cache.write(capture.updates, restingOn: event.record)
            return true
        case .nothing:
            writer.abandon()
            return true
        case .condemned: return false
        }
    }

    /// Of what was recorded so far, so that the run's end reads it no second time.
    static func cache(of run: RunRecord, _ repository: Repository, _ state: LedgerState) throws(DFSError) -> StatCache {
        try repository.statCache(
            scope: "outputs/\(run.id)", latest: run.annotation(annotation)?.record, in: state)
    }

    /// Lets go of the rows of a run that has ended.
    static func forget(_ run: RunID, _ repository: Repository, _ state: LedgerState) {
        _ = try? repository.statCache(scope: "outputs/\(run)", latest: nil, in: state)
    }
}
