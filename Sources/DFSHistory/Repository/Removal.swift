import DFSLedger
import DFSModel
import DFSStore

/// Takes versions out of a dataset. What only they held is collected later; that they were there, who took them out, when
/// and why stays in the ledger.
package struct Removal {
    package let repository: Repository
    package let dataset: String
    /// `nil`: all that the dataset has.
    package let version: Int?
    package let reason: String
    /// Of the salted text.
    package var host: [String: JSONValue] = [:]

    package init(repository: Repository, dataset: String, version: Int?, reason: String) {
        self.repository = repository
        self.dataset = dataset
        self.version = version
        self.reason = reason
    }

    package struct Outcome: Sendable {
        /// What was removed, ascending.
        package let versions: [VersionRecord]
        /// Tags that stood on them.
        package let tags: [String]
        /// Those of them that runs read: what these read stays.
        package let read: [Int]
        /// The latest that is left.
        package let latest: Int?
        package let time: Timestamp
    }

    package func run(by signer: any Signer) throws(DFSError) -> Outcome {
        guard !reason.allSatisfy(\.isWhitespace) else {
            throw DFSError(
                .usage, "a removal needs a reason", cause: "it is all that will be known of what was there",
                hint: "dfs dataset rm \(dataset) --reason 'WHY'")
        }
        return try repository.storingAgain("the removal from \(dataset)") { state throws(DFSError) in
            try self.attempt(state, signer)
        }
    }

    private func attempt(_ state: LedgerState, _ signer: any Signer) throws(DFSError) -> Outcome? {
        _ = try versions(state)
        let writer = StoreWriter(store: repository.objects)
        var fields = host
        fields["reason"] = .string(reason)
        let text: ObjectAddress
        let finished: StoreWriter.Finished
        do throws(DFSError) {
            text = try writer.putHere(TextObject(fields: fields).encoded)
            finished = try writer.finish(base: nil)
        } catch {
            writer.abandon()
            throw error
        }
        var removed = [VersionRecord]()
        let reliance = Reliance(finished, began: state)
        var before = state
        let recording = try repository.record(by: signer, relyingOn: reliance) { state throws(DFSError) in
            before = state
            removed = try self.versions(state)
            return [
                .datasetRemoved(
                    .init(
                        dataset: self.dataset, version: self.version, text: text, packs: finished.packs,
                        pack: finished.pack))
            ]
        }
        guard case .entry(let entry) = recording else {
            writer.abandon()
            return nil
        }
        repository.remember(finished)
        let numbers = Set(removed.map(\.number))
        return Outcome(
            versions: removed,
            tags: (before.datasets[dataset]?.tags ?? [:]).filter { numbers.contains($0.value) }.keys.sorted(),
            read: (before.versionsReadByRuns[dataset] ?? []).intersection(numbers).sorted(),
            latest: try repository.state().datasets[dataset]?.latest?.number, time: entry.time)
    }

    /// What is to be removed, in one state.
    private func versions(_ state: LedgerState) throws(DFSError) -> [VersionRecord] {
        guard let known = state.datasets[dataset] else {
            throw DFSError(.noReference, "there is no dataset \(dataset)", hint: "dfs ls")
        }
        if let version {
            guard let record = known.version(version) else {
                throw DFSError(.noReference, "there is no \(dataset)@v\(version)", hint: "dfs log \(dataset)")
            }
            guard known.removal(of: version) == nil else {
                throw DFSError(
                    .noReference, "\(dataset)@v\(version) is removed already", hint: "dfs show \(dataset)@v\(version)")
            }
            return [record]
        }
        let standing = known.versions.filter { known.removal(of: $0.number) == nil }
        guard !standing.isEmpty else {
            throw DFSError(.noReference, "\(dataset) is removed already", hint: "dfs log \(dataset)")
        }
        return standing
    }
}
