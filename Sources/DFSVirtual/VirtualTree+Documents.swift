import DFSModel
import DFSStore
import DFSSystem

extension VirtualTree {
    /// The item number of `metrics.jsonl`; the other documents of a run have the numbers of `RunDocument`.
    static let metricsItem: UInt32 = 4
    static let metricsName = Array("metrics.jsonl".utf8)

    /// The file that the tree makes up at `id`.
    func document(_ id: NodeID, in place: Place) throws(DFSError) -> Node {
        switch place {
        case .control:
            guard let bytes = control.bytes(id.item) else { throw Self.stale(id) }
            return .document(bytes, modified: started, lifetime: .immutable)
        case .run(let run):
            let details = try history.run(run)
            if id.item == Self.metricsItem {
                guard let node = metrics(of: details) else { throw Self.absent("run \(run) has no metrics") }
                return node
            }
            guard let document = RunDocument(rawValue: id.item) else { throw Self.stale(id) }
            guard let bytes = try bytes(of: document, in: details.summary) else {
                throw Self.absent("run \(run) has no \(document.fileName)")
            }
            let summary = details.summary
            return .document(
                bytes, modified: summary.changed.modified, lifetime: summary.lifetime)
        default: throw Self.stale(id)
        }
    }

    /// `nil` where there is none.
    func metrics(of run: RunDetails) -> Node? {
        if run.summary.isLive {
            return run.live.flatMap { live in
                live.metrics.map { path in
                    .liveMetrics(
                        Array(path.utf8.split(separator: UInt8(ascii: "/")).last ?? []),
                        LiveLocation(Files.parent(path), below: live.below))
                }
            }
        }
        return run.metrics.map { metrics in
            .entry(metrics, StoredDirectory(entry: metrics, lifetime: run.summary.lifetime))
        }
    }

    func bytes(of document: RunDocument, in run: RunSummary) throws(DFSError) -> [UInt8]? {
        guard run.isFinal else { return try history.document(document, of: run.id) }
        let key = DocumentKey(run: run.id, document: document)
        if let known = documents[key] { return known }
        let bytes = try history.document(document, of: run.id)
        if let bytes { documents.insert(bytes, for: key) }
        return bytes
    }
}
