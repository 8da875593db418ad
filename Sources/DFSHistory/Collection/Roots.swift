import DFSLedger
import DFSModel
import DFSStore

/// All that keeps stored objects: what `dfs gc` marks, and `dfs why` tells of.
///
/// Told again with a later state, it reads only what is new.
struct Roots {
    enum Content {
        /// A tree with all below it.
        case tree(TreeReference)
        case object(Digest)
    }

    /// Is given a root, whether it must be in some pack, else it is kept where it is found, and what it is called.
    typealias Visitor = (_ content: Content, _ isNeeded: Bool, _ what: () -> String) throws(DFSError) -> Void

    private let repository: Repository
    private var seenRuns = Set<RunID>()
    private var seenRejections = 0

    init(repository: Repository) { self.repository = repository }

    /// What a state needs: versions that stand or that a run read, snapshots, runs, and of every entry, also of one about a
    /// removed version, record, text and pack set.
    mutating func forEach(of state: LedgerState, _ body: Visitor) throws(DFSError) {
        let read = state.versionsReadByRuns
        for name in state.datasetNames {
            if let dataset = state.datasets[name] { try visit(dataset, name, read[name] ?? [], body) }
        }
        for name in state.projectNames {
            for snapshot in state.projects[name]?.snapshots ?? RecordList() {
                let what = "code:\(name)@\(snapshot.id)"
                try body(.tree(snapshot.tree), true) { what }
                try visit(snapshot.record, nil, what, body)
            }
        }
        for run in state.runs { try visit(run, body) }
        for set in state.packSets {
            try body(.object(set.packs.digest), true) { "the pack set of entry \(set.sequence)" }
        }
        // Events that were passed over are part of the ledger all the same.
        for event in try repository.rejectedEvents(of: state, from: seenRejections) {
            for (key, part) in [("record", "record"), ("text", "text"), ("packs", "pack set")] {
                guard let digest = event[key]?.digest else { continue }
                try body(.object(digest), false) { "the \(part) of an event that was passed over" }
            }
        }
        seenRejections = state.rejected.count
    }

    /// Versions that somebody shows as of an older entry, and that were removed since; `nil`: any that was removed. They are
    /// kept where they are found.
    static func forEachRemoved(
        of state: LedgerState, asOf sequence: UInt64?, _ body: (_ tree: TreeReference, _ what: String) -> Void
    ) {
        for name in state.datasetNames {
            guard let dataset = state.datasets[name] else { continue }
            for number in dataset.removals.keys.sorted() {
                guard let removal = dataset.removals[number], let version = dataset.version(number) else { continue }
                if let sequence, removal.sequence <= sequence || version.sequence > sequence { continue }
                body(version.tree, "\(name)@v\(number)")
            }
        }
    }

    private func visit(
        _ dataset: DatasetState, _ name: String, _ read: Set<Int>, _ body: Visitor
    ) throws(DFSError) {
        for version in dataset.versions {
            let what = "\(name)@v\(version.number)"
            if dataset.removal(of: version.number) == nil || read.contains(version.number) {
                try body(.tree(version.tree), true) { what }
            }
            try visit(version.record, version.text, what, body)
        }
        for (number, removal) in dataset.removals {
            try body(.object(removal.text.digest), true) { "the removal of \(name)@v\(number)" }
        }
        for (tag, changes) in dataset.tagHistory {
            for change in changes {
                if let text = change.text { try body(.object(text.digest), false) { "the tag \(tag) of \(name)" } }
            }
        }
    }

    private mutating func visit(_ run: RunRecord, _ body: Visitor) throws(DFSError) {
        let what = "run:\(run.id)"
        try visit(run.record, run.text, what, body)
        for change in run.tagHistory {
            if let text = change.text { try body(.object(text.digest), false) { "the tag \(change.tag) of \(what)" } }
        }
        for end in [run.end, run.supersededEnd] {
            guard let end else { continue }
            try visit(end.record, nil, what, body)
            for (part, tree) in end.trees { try body(.tree(tree), true) { "\(what)/\(part)" } }
        }
        for note in run.annotations {
            try visit(note.record, note.text, "\(what)/\(note.name)", body)
            if let tree = note.tree { try body(.tree(tree), true) { "\(what)/\(note.name)" } }
        }
        guard seenRuns.insert(run.id).inserted else { return }
        let plan = try repository.objects.json(run.record.record, what: "the plan of run \(run.id)")
        for part in ["stable", "job", "volatile"] {
            guard let digest = plan["host"]?[part]?.digest else { continue }
            try body(.object(digest), true) { "the host record (\(part)) of \(what)" }
        }
    }

    private func visit(
        _ record: RecordReference, _ text: ObjectAddress?, _ what: String, _ body: Visitor
    ) throws(DFSError) {
        try body(.object(record.record.digest), true) { "the record of \(what)" }
        if let text { try body(.object(text.digest), true) { "the text of \(what)" } }
    }
}
