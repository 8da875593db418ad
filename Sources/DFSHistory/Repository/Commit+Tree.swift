import DFSLedger
import DFSModel
import DFSStore
import DFSSystem

/// A stored tree that a version is made from without reading its bytes.
package struct StoredSource: Sendable {
    /// A directory, or one file, which then becomes a directory that holds it.
    package let entry: TreeEntry
    /// Of the event that recorded the tree: its packs are those that the content needs.
    package let record: RecordReference
    /// The reference as resolved, for the record: `run:…/outputs/model`.
    package let reference: String
    /// The version that it is taken from, which must stand when the new one is recorded; `nil` of what cannot be removed.
    package let version: (dataset: String, number: Int)?

    package init(
        entry: TreeEntry, record: RecordReference, reference: String, version: (dataset: String, number: Int)? = nil
    ) {
        self.entry = entry
        self.record = record
        self.reference = reference
        self.version = version
    }

    /// Refuses what was removed meanwhile. While it stands, collection keeps all of it.
    func check(_ state: LedgerState) throws(DFSError) {
        guard let version, let removal = state.datasets[version.dataset]?.removal(of: version.number) else { return }
        throw DFSError(
            .noReference, "\(reference) was removed at \(removal.time.short), while a version was made from it",
            hint: "dfs show \(version.dataset)@v\(version.number)")
    }
}

extension Commit {
    /// Records a tree that the store holds as the next version, with where it came from. Reads and writes metadata only.
    package func record(tree source: StoredSource, by signer: any Signer) throws(DFSError) -> Outcome {
        try repository.storingAgain(dataset) { state throws(DFSError) in
            try source.check(state)
            return try self.attempt(tree: source, state, signer)
        }
    }

    private func attempt(
        tree source: StoredSource, _ state: LedgerState, _ signer: any Signer
    ) throws(DFSError) -> Outcome? {
        if let problem = state.problem(ofNewDataset: dataset) {
            throw DFSError(.usage, "\(dataset) cannot name a dataset", cause: problem, hint: "dfs commit --help")
        }
        let latest = state.datasets[dataset]?.latest
        try checkTag(state, besides: latest)
        let writer = StoreWriter(store: repository.objects)
        let tree = try directory(of: source.entry, writer)
        if let latest, latest.content == tree.content {
            try setTag(on: latest, by: signer)
            return outcome(latest, isNew: false, previous: latest)
        }
        let recorded = try record(
            tree, record(of: source, tree, latest), writer, base: (source.record.packs, source.record.pack),
            rows: nil, latest: latest, state, by: signer, check: source.check)
        guard let recorded else { return nil }
        return outcome(recorded.version, isNew: recorded.isNew, previous: latest)
    }

    private func directory(of entry: TreeEntry, _ writer: StoreWriter) throws(DFSError) -> TreeReference {
        if entry.kind == .directory, let address = entry.address {
            return TreeReference(content: entry.content, tree: address, files: entry.files, bytes: entry.size)
        }
        let address = try TreeBuilder.build([entry]) { node throws(DFSError) in try writer.put(node.bytes) }
        return TreeReference(
            content: ContentDigest.ofDirectory([entry]), tree: address, files: 1,
            bytes: entry.kind == .symlink ? 0 : entry.size)
    }

    private func record(of source: StoredSource, _ tree: TreeReference, _ latest: VersionRecord?) -> JSONValue {
        [
            "format": "dfs.commit/1", "dataset": .string(dataset),
            "parent": latest.map { .string($0.content.digest.text) } ?? .null, "tree": tree.json,
            "capture": CaptureNotes().json, "metadata": .object(metadata.mapValues { .string($0) }),
            "mode": .integer(Int64(source.entry.kind == .directory ? source.entry.mode : 0o755)),
            "modified": .string(source.entry.modified.description),
            "lineage": [
                "reference": .string(source.reference), "content": .string(source.entry.content.digest.text),
                "record": .string(source.record.record.digest.text),
            ],
        ]
    }

    private func outcome(_ version: VersionRecord, isNew: Bool, previous: VersionRecord?) -> Outcome {
        Outcome(
            version: version, isNew: isNew, previous: previous, notes: CaptureNotes(), filesRead: 0, bytesRead: 0,
            storedBytes: 0)
    }
}

extension Resolver {
    /// The event whose packs hold what `reference` names.
    package func record(of reference: Reference) throws(DFSError) -> RecordReference {
        switch reference {
        case .dataset(let name, let selector, _): return try version(name, selector).record
        case .code(let project, let selector, _): return try snapshot(project, selector).record
        case .run(let id, let path):
            let run = try run(id)
            switch path.first.map({ NameText.encode($0) }) {
            case "code":
                if let snapshot = state.projects[run.project]?.snapshot(run.snapshot) { return snapshot.record }
            case "data":
                let key = path.count > 1 ? NameText.encode(path[1]) : ""
                if let input = run.data.first(where: { $0.key == key }) {
                    // Also of a version that was removed since: what a run read is kept.
                    if let version = state.datasets[input.dataset]?.version(input.version) { return version.record }
                }
            default: break
            }
            return run.end?.record ?? run.record
        }
    }
}
