import DFSLedger
import DFSModel
import DFSStore

/// Says something more of a run: `run.annotated`.
package struct Annotation {
    package let repository: Repository
    package let run: RunID
    /// What it is about; its record is `dfs.<name>/1`.
    package let name: String

    package init(repository: Repository, run: RunID, name: String) {
        self.repository = repository
        self.run = run
        self.name = name
    }

    /// Appends the annotation. `format` and `run` are added to `record`; `text` becomes a salted text. `adopted` is
    /// another run's annotation, whose tree this one gets too. For one with a tree of its own see `event`.
    package func append(
        _ record: [String: JSONValue], text: [String: JSONValue]? = nil, adopting adopted: RunAnnotation? = nil,
        by signer: any Signer
    ) throws(DFSError) {
        try repository.storingAgain("the \(name) of run \(run)") { state throws(DFSError) -> Void? in
            let writer = StoreWriter(store: repository.objects)
            do throws(DFSError) {
                let event = try self.event(
                    record, text: text, tree: adopted?.tree, base: adopted.map { ($0.record.packs, $0.record.pack) },
                    writer)
                let reliance = Reliance(
                    event.finished, events: adopted.map { [EventPacks($0.record)] } ?? [], began: state)
                let recording = try repository.record(by: signer, relyingOn: reliance) { _ in
                    [.runAnnotated(event.event)]
                }
                guard case .entry = recording else {
                    writer.abandon()
                    return nil
                }
                repository.remember(event.finished)
                return ()
            } catch {
                writer.abandon()
                throw error
            }
        }
    }

    /// Stores record and text with what `writer` has stored, and makes the event that names them.
    package func event(
        _ record: [String: JSONValue], text: [String: JSONValue]?, tree: TreeReference?,
        base: (packs: ObjectAddress, pack: PackID)?, _ writer: StoreWriter
    ) throws(DFSError) -> (event: LedgerEvent.RunAnnotated, finished: StoreWriter.Finished) {
        var record = record
        record["format"] = .string("dfs.\(name)/1")
        record["run"] = .string(run.description)
        let address = try writer.putHere(.object(record))
        var textAddress: ObjectAddress?
        if let text { textAddress = try writer.putHere(TextObject(fields: text).encoded) }
        let finished = try writer.finish(base: base)
        let event = LedgerEvent.RunAnnotated(
            run: run, name: name, tree: tree,
            record: RecordReference(record: address, packs: finished.packs, pack: finished.pack), text: textAddress)
        return (event, finished)
    }
}
