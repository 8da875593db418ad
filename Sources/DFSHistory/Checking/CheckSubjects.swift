import DFSLedger
import DFSModel

/// What a ledger records and how it is called, in the order in which it was recorded.
struct CheckSubjects {
    struct Tree: Sendable {
        let tree: TreeReference
        let name: String
        let record: RecordReference
        fileprivate let sequence: UInt64
    }

    struct Record: Sendable {
        let name: String
        let record: RecordReference
        fileprivate let sequence: UInt64
    }

    private(set) var trees = [Tree]()
    private(set) var records = [Record]()
    private var names = [UInt64: [String]]()

    init(_ state: LedgerState) {
        for name in state.datasetNames {
            for version in state.datasets[name]?.versions ?? RecordList() {
                // Of removed versions the record stays, and what a run read.
                let tree = state.keeps(version, of: name) ? [("", version.tree)] : []
                add("\(name)@v\(version.number)", version.record, version.mark, tree)
            }
        }
        for name in state.projectNames {
            for snapshot in state.projects[name]?.snapshots ?? RecordList() {
                add("code:\(name)@\(snapshot.id)", snapshot.record, snapshot.mark, [("", snapshot.tree)])
            }
        }
        for run in state.runs {
            add("run:\(run.id)", run.record, run.mark, [])
            for note in run.annotations {
                let trees = note.tree.map { [("", $0)] } ?? []
                add("run:\(run.id)/\(note.name)", note.record, note.mark, trees)
            }
            guard let end = run.end else { continue }
            add("run:\(run.id)", end.record, end.mark, end.trees.map { ("/" + $0.name, $0.tree) })
        }
        trees.sort { $0.sequence < $1.sequence }
        records.sort { $0.sequence < $1.sequence }
    }

    /// What an entry recorded.
    func names(ofEntry sequence: UInt64) -> [String] { names[sequence] ?? [] }

    private mutating func add(
        _ name: String, _ record: RecordReference, _ mark: EntryMark, _ parts: [(String, TreeReference)]
    ) {
        names[mark.sequence, default: []].append(name)
        records.append(Record(name: name, record: record, sequence: mark.sequence))
        for (part, tree) in parts {
            trees.append(Tree(tree: tree, name: name + part, record: record, sequence: mark.sequence))
        }
    }
}
