import DFSModel

/// What an entry says happened (FORMAT.md §7.3).
package enum LedgerEvent: Sendable, Hashable {
    case storeCreated
    case keyAdded(PublicKey, owner: Bool)
    case keyApproved(KeyID, text: ObjectAddress?)
    case keyRevoked(KeyID, text: ObjectAddress?)
    case datasetCommitted(DatasetCommitted)
    case tagSet(TagSet)
    case tagRemoved(TagRemoved)
    case codeCaptured(CodeCaptured)
    case runStarted(RunStarted)
    /// Written by the launcher.
    case runFinished(RunFinished)
    /// Written by whoever found the run dead; its outcome is `interrupted`.
    case runInterrupted(RunFinished)
    /// Something more is said of a run.
    case runAnnotated(RunAnnotated)
    case datasetRemoved(DatasetRemoved)
    case packsCondemned(PacksCondemned)
    case packsDeleted(PacksDeleted)
    /// A kind that this version does not know.
    case unknown(JSONValue)

    package struct DatasetCommitted: Sendable, Hashable {
        package let dataset: String
        package let version: Int
        package let tree: TreeReference
        package let record: RecordReference
        package let text: ObjectAddress?

        package init(
            dataset: String, version: Int, tree: TreeReference, record: RecordReference, text: ObjectAddress? = nil
        ) {
            self.dataset = dataset
            self.version = version
            self.tree = tree
            self.record = record
            self.text = text
        }
    }

    package struct TagSet: Sendable, Hashable {
        package let tag: String
        package let target: TagTarget
        /// True when the tag stood on another version of the dataset.
        package let moved: Bool
        package let text: ObjectAddress?

        package init(tag: String, target: TagTarget, moved: Bool, text: ObjectAddress? = nil) {
            self.tag = tag
            self.target = target
            self.moved = moved
            self.text = text
        }
    }

    package struct TagRemoved: Sendable, Hashable {
        package enum Holder: Sendable, Hashable {
            case dataset(String)
            case run(RunID)
        }
        package let tag: String
        package let holder: Holder
        package let text: ObjectAddress?

        package init(tag: String, holder: Holder, text: ObjectAddress? = nil) {
            self.tag = tag
            self.holder = holder
            self.text = text
        }
    }

    package struct CodeCaptured: Sendable, Hashable {
        package let project: String
        package let snapshot: String
        package let tree: TreeReference
        package let record: RecordReference

        package init(project: String, snapshot: String, tree: TreeReference, record: RecordReference) {
            self.project = project
            self.snapshot = snapshot
            self.tree = tree
            self.record = record
        }
    }

    package struct RunStarted: Sendable, Hashable {
        package let run: RunID
        package let project: String
        package let snapshot: String
        package let data: [RunInput]
        package let record: RecordReference
        package let text: ObjectAddress?

        package init(
            run: RunID, project: String, snapshot: String, data: [RunInput], record: RecordReference,
            text: ObjectAddress? = nil
        ) {
            self.run = run
            self.project = project
            self.snapshot = snapshot
            self.data = data
            self.record = record
            self.text = text
        }
    }

    package struct RunFinished: Sendable, Hashable {
        package let run: RunID
        package let outcome: RunOutcome
        /// Each `nil` when it is not known what there was, as on a host that was lost.
        package let outputs: TreeReference?
        package let work: TreeReference?
        package let logs: TreeReference?
        /// What those that watched the run saw.
        package let evidence: TreeReference?
        package let record: RecordReference

        package init(
            run: RunID, outcome: RunOutcome, outputs: TreeReference?, work: TreeReference?, logs: TreeReference?,
            evidence: TreeReference? = nil, record: RecordReference
        ) {
            self.run = run
            self.outcome = outcome
            self.outputs = outputs
            self.work = work
            self.logs = logs
            self.evidence = evidence
            self.record = record
        }
    }

    package struct RunAnnotated: Sendable, Hashable {
        package let run: RunID
        /// What it is about: `environment`, `note`, `validation` (FORMAT.md §8.6).
        package let name: String
        package let tree: TreeReference?
        package let record: RecordReference
        package let text: ObjectAddress?

        package init(
            run: RunID, name: String, tree: TreeReference?, record: RecordReference, text: ObjectAddress? = nil
        ) {
            self.run = run
            self.name = name
            self.tree = tree
            self.record = record
            self.text = text
        }
    }
}

extension LedgerEvent {
    /// The value of the member `kind`; of an unknown event without one: empty.
    package var kind: String {
        switch self {
        case .storeCreated: "store.created"
        case .keyAdded: "key.added"
        case .keyApproved: "key.approved"
        case .keyRevoked: "key.revoked"
        case .datasetCommitted: "dataset.committed"
        case .tagSet: "tag.set"
        case .tagRemoved: "tag.removed"
        case .codeCaptured: "code.captured"
        case .runStarted: "run.started"
        case .runFinished: "run.finished"
        case .runInterrupted: "run.interrupted"
        case .runAnnotated: "run.annotated"
        case .datasetRemoved: "dataset.removed"
        case .packsCondemned: "gc.condemned"
        case .packsDeleted: "gc.performed"
        case .unknown(let json): json["kind"]?.string ?? ""
        }
    }
}
