import DFSLedger
import DFSModel
import DFSStore
import DFSSystem

/// Records a directory as the next version of a dataset.
package struct Commit {
    package let repository: Repository
    package let dataset: String
    package let source: String
    package var options: CaptureOptions
    package var message: String?
    package var tag: String?
    package var metadata: [String: String] = [:]
    package var allowShrink = false
    package var host: [String: JSONValue] = [:]

    package init(repository: Repository, dataset: String, source: String, options: CaptureOptions) {
        self.repository = repository
        self.dataset = dataset
        self.source = source
        self.options = options
    }

    package struct Outcome: Sendable {
        package let version: VersionRecord
        /// `false` when the content is that of the latest version.
        package let isNew: Bool
        package let previous: VersionRecord?
        package let notes: CaptureNotes
        package let filesRead: Int
        package let bytesRead: Int
        package let storedBytes: Int
    }

    package func run(by signer: any Signer) throws(DFSError) -> Outcome {
        try repository.storingAgain(dataset) { state throws(DFSError) in try self.attempt(state, signer) }
    }

    private var scope: String { "dataset/" + dataset }

    /// Bytes that an interrupted commit has stored and this one need not write again.
    package var resumableBytes: UInt64 { repository.resumableBytes(scope: scope) }

    /// `nil` when packs that the version would have relied on were condemned meanwhile.
    private func attempt(_ state: LedgerState, _ signer: any Signer) throws(DFSError) -> Outcome? {
        if let problem = state.problem(ofNewDataset: dataset) {
            throw DFSError(.usage, "\(dataset) cannot name a dataset", cause: problem, hint: "dfs commit --help")
        }
        let latest = state.datasets[dataset]?.latest
        // The same content under the same tag again is no mistake.
        try checkTag(state, besides: latest)
        let writer = StoreWriter(store: repository.objects)
        let cache = try repository.statCache(scope: scope, latest: latest?.record, in: state)
        let journal = repository.ingestJournal(scope: scope, threads: options.threads)
        let capture = Capture(
            root: source, writer: writer, reader: repository.reader, cache: cache, journal: journal,
            previous: latest.map { TreeEntry.root($0.tree, modified: $0.time) }, options: options)
        let result = try capture.run()
        if let latest, latest.content == result.root.content {
            writer.abandon()
            journal?.remove()
            try? cache.write(result.updates, restingOn: latest.record)
            try setTag(on: latest, by: signer)
            return outcome(latest, isNew: false, previous: latest, result, writer)
        }
        let base = latest.map { ($0.record.packs, $0.record.pack) }
        let recorded = try record(
            result.summary, record(result, latest), writer, base: base, rows: cache.rows, latest: latest, state,
            by: signer, keepingPacks: journal != nil)
        guard let recorded else { return nil }
        journal?.remove()
        if recorded.isNew { try? cache.write(result.updates, restingOn: recorded.version.record) }
        return outcome(recorded.version, isNew: recorded.isNew, previous: latest, result, writer)
    }

    /// Stores the record of a tree that is stored, publishes the packs and appends the entry. Where nothing comes of it,
    /// what the writer has published goes, unless a journal keeps it for the next attempt (`keepingPacks`). `rows`: what stat
    /// cache rows rested on that were used. `check` is called with the state that the entry will follow. `nil` when packs that
    /// the version would have relied on were condemned meanwhile.
    func record(
        _ tree: TreeReference, _ record: JSONValue, _ writer: StoreWriter, base: (packs: ObjectAddress, pack: PackID)?,
        rows: EventPacks?, latest: VersionRecord?, _ state: LedgerState, by signer: any Signer,
        keepingPacks: Bool = false, check: (LedgerState) throws(DFSError) -> Void = { _ in }
    ) throws(DFSError) -> (version: VersionRecord, isNew: Bool)? {
        let finished: StoreWriter.Finished
        let reference: RecordReference
        let text: ObjectAddress
        do throws(DFSError) {
            try checkTag(state)
            try checkShrink(tree, latest)
            let record = try writer.putHere(record)
            text = try writer.putHere(TextObject(fields: texts).encoded)
            finished = try writer.finish(base: base)
            reference = RecordReference(record: record, packs: finished.packs, pack: finished.pack)
        } catch {
            writer.abandon(keepingPacks: keepingPacks)
            throw error
        }
        let before = latest.map { EventPacks($0.record) }
        let reliance = Reliance(finished, events: [rows, before].compactMap { $0 }, began: state)
        let appended = try append(tree, reference, text, reliance, signer, check)
        guard let (number, isNew) = appended else {
            writer.abandon(keepingPacks: keepingPacks)
            return nil
        }
        if isNew { repository.remember(finished) } else { writer.abandon() }
        guard let version = try repository.state().datasets[dataset]?.version(number) else {
            throw DFSError(
                .refused, "the entry for \(dataset) v\(number) was not accepted", cause: "see the rejected events",
                hint: "dfs audit verify")
        }
        // Somebody else was faster with the same content: the tag is still this user's.
        if !isNew { try setTag(on: version, by: signer) }
        return (version, isNew)
    }

    /// Puts the tag on a version that is there already.
    func setTag(on version: VersionRecord, by signer: any Signer) throws(DFSError) {
        guard let tag else { return }
        try Tagging(repository: repository).set(
            tag, dataset: dataset, version: version.number, move: false, by: signer)
    }

    private func outcome(
        _ version: VersionRecord, isNew: Bool, previous: VersionRecord?, _ result: CaptureResult,
        _ writer: StoreWriter
    ) -> Outcome {
        Outcome(
            version: version, isNew: isNew, previous: previous, notes: result.notes,
            filesRead: options.progress.filesRead.current, bytesRead: options.progress.bytesRead.current,
            storedBytes: writer.storedBytes.current)
    }

    /// Another commit may have come first: then this one still records what it read, as the version after it, unless the
    /// content is the same.
    private func append(
        _ tree: TreeReference, _ record: RecordReference, _ text: ObjectAddress, _ reliance: Reliance,
        _ signer: any Signer, _ check: (LedgerState) throws(DFSError) -> Void
    ) throws(DFSError) -> (number: Int, isNew: Bool)? {
        var number = 0
        let recording = try repository.record(by: signer, relyingOn: reliance) { state throws(DFSError) in
            try check(state)
            if let problem = state.problem(ofNewDataset: self.dataset) {
                throw DFSError(.refused, "\(self.dataset) cannot be recorded", cause: problem)
            }
            let now = state.datasets[self.dataset]?.latest
            number = (state.datasets[self.dataset]?.lastNumber ?? 0) + 1
            if let now, now.content == tree.content {
                number = now.number
                return nil
            }
            var events: [LedgerEvent] = [
                .datasetCommitted(
                    .init(dataset: self.dataset, version: number, tree: tree, record: record, text: text))
            ]
            if let tag = self.tag {
                events.append(
                    .tagSet(.init(tag: tag, target: .version(dataset: self.dataset, number: number), moved: false)))
            }
            return events
        }
        switch recording {
        case .entry: return (number, true)
        case .nothing: return (number, false)
        case .condemned: return nil
        }
    }

    /// Refuses a tag that cannot be, or that stands on anything but `latest` where that is given.
    func checkTag(_ state: LedgerState, besides latest: VersionRecord? = nil) throws(DFSError) {
        guard let tag else { return }
        if let problem = TagName.problem(tag) {
            throw DFSError(.usage, "\(tag) cannot be a tag", cause: problem, hint: "dfs tag --help")
        }
        if let standing = state.datasets[dataset]?.version(tag: tag), standing.number != latest?.number {
            throw DFSError(
                .refused, "tag \(tag) stands on \(dataset) v\(standing.number) already",
                hint: "dfs tag \(dataset)@latest \(tag) --move")
        }
    }

    func checkShrink(_ tree: TreeReference, _ latest: VersionRecord?) throws(DFSError) {
        guard !allowShrink else { return }
        if tree.files == 0 {
            throw DFSError(
                .refused, "\(source) holds no files", cause: "an empty version is rarely meant",
                hint: "repeat the command with --allow-shrink")
        }
        if let latest, tree.files * 2 < latest.tree.files {
            throw DFSError(
                .refused,
                "\(source) holds \(tree.files) files, \(dataset) v\(latest.number) holds \(latest.tree.files)",
                cause: "more than half would be gone", hint: "repeat the command with --allow-shrink")
        }
    }

    private func record(_ result: CaptureResult, _ latest: VersionRecord?) -> JSONValue {
        [
            "format": "dfs.commit/1", "dataset": .string(dataset),
            "parent": latest.map { .string($0.content.digest.text) } ?? .null,
            "tree": result.summary.json, "capture": result.notes.json,
            "metadata": .object(metadata.mapValues { .string($0) }),
            "mode": .integer(Int64(result.root.mode)), "modified": .string(result.root.modified.description),
        ]
    }

    var texts: [String: JSONValue] {
        var fields = host
        fields["source"] = .string(source)
        if let message { fields["message"] = .string(message) }
        return fields
    }
}
