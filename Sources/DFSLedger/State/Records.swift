import DFSModel

/// Where in the ledger something was said, when, and by which key.
package struct EntryMark: Sendable, Hashable {
    package let sequence: UInt64
    package let time: Timestamp
    package let key: KeyID
}

/// Something that one entry said. Lists of these are in the order of the ledger, so their times never decrease.
package protocol Marked {
    var mark: EntryMark { get }
}

extension Marked {
    package var time: Timestamp { mark.time }
    package var sequence: UInt64 { mark.sequence }
    package var key: KeyID { mark.key }
}

extension RandomAccessCollection where Index == Int {
    /// How many elements, all of which come first, are `before`: a binary search. (Not `count`, which a trailing closure
    /// would take for the standard library's.)
    package func prefixLength(where isBefore: (Element) -> Bool) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = (low + high) / 2
            if isBefore(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low - startIndex
    }
}

extension RandomAccessCollection where Index == Int, Element: Marked {
    /// How many were said at `time` or before.
    package func count(at time: Timestamp) -> Int { prefixLength { $0.mark.time <= time } }

    /// The last one said at `time` or before.
    package func last(at time: Timestamp) -> Element? { prefix(count(at: time)).last }
}

package struct KeyRecord: Sendable, Hashable, Marked {
    package let publicKey: PublicKey
    package let owner: Bool
    /// When it was added.
    package let mark: EntryMark
    package internal(set) var approved: EntryMark?
    package internal(set) var revoked: EntryMark?

    package var isRevoked: Bool { revoked != nil }
    /// Whether an owner stands behind it.
    package var isVouchedFor: Bool { owner || approved != nil }
}

package struct VersionRecord: Sendable, Hashable, Marked {
    /// N of `v<N>`.
    package let number: Int
    package let tree: TreeReference
    package let record: RecordReference
    package let text: ObjectAddress?
    package let mark: EntryMark

    package var content: ContentDigest { tree.content }
}

/// A tag of a dataset was set or removed.
package struct TagChange: Sendable, Hashable, Marked {
    /// `nil`: removed.
    package let version: Int?
    package let text: ObjectAddress?
    package let mark: EntryMark
}

package struct DatasetState: Sendable, Hashable {
    package let name: String
    /// `versions[i]` has number i + 1.
    package internal(set) var versions = RecordList<VersionRecord>()
    /// The history of every tag that ever was.
    package internal(set) var tagHistory: [String: RecordList<TagChange>] = [:]
    /// Versions that were taken out, by number.
    package internal(set) var removals: [Int: VersionRemoval] = [:]
}

package struct SnapshotRecord: Sendable, Hashable, Marked {
    package let id: String
    package let tree: TreeReference
    package let record: RecordReference
    package let mark: EntryMark

    package var content: ContentDigest { tree.content }
}

package struct ProjectState: Sendable, Hashable {
    package let name: String
    package internal(set) var snapshots = RecordList<SnapshotRecord>()

    package func snapshot(_ id: String) -> SnapshotRecord? {
        snapshots.position(lookup: LookupTable.value(of: id)) { $0.id == id }.map { snapshots[$0] }
    }

    package var latest: SnapshotRecord? { snapshots.last }

    /// The latest captured at `time` or before.
    package func snapshot(at time: Timestamp) -> SnapshotRecord? { snapshots.last(at: time) }
}

/// A tag of a run was set or removed.
package struct RunTagChange: Sendable, Hashable, Marked {
    package let tag: String
    package let isSet: Bool
    package let text: ObjectAddress?
    package let mark: EntryMark
}

package struct RunEnd: Sendable, Hashable, Marked {
    package let outcome: RunOutcome
    package let outputs: TreeReference?
    package let work: TreeReference?
    package let logs: TreeReference?
    package let evidence: TreeReference?
    package let record: RecordReference
    /// Whether it was said by whoever found the run dead, not by its launcher.
    package let isFound: Bool
    package let mark: EntryMark

    /// What was recorded of the run, by the names that it has below `runs/<id>/`.
    package var trees: [(name: String, tree: TreeReference)] {
        [("outputs", outputs), ("work", work), ("logs", logs), ("evidence", evidence)].compactMap { name, tree in
            tree.map { (name, $0) }
        }
    }

    package func tree(_ name: String) -> TreeReference? { trees.first { $0.name == name }?.tree }
}

/// Something that was said of a run besides its start and end.
package struct RunAnnotation: Sendable, Hashable, Marked {
    package let name: String
    package let tree: TreeReference?
    package let record: RecordReference
    package let text: ObjectAddress?
    package let mark: EntryMark

    package static let environment = "environment"
}

package struct RunRecord: Sendable, Hashable, Marked {
    package let id: RunID
    package let project: String
    package let snapshot: String
    package let data: [RunInput]
    /// Of the plan.
    package let record: RecordReference
    package let text: ObjectAddress?
    /// When it started.
    package let mark: EntryMark
    package internal(set) var end: RunEnd?
    /// What was said of the run's end before its launcher spoke.
    package internal(set) var supersededEnd: RunEnd?
    package internal(set) var tagHistory: [RunTagChange] = []
    package internal(set) var annotations: [RunAnnotation] = []

    /// `nil`: running, as far as the ledger knows.
    package var outcome: RunOutcome? { end?.outcome }

    /// The latest of a name.
    package func annotation(_ name: String) -> RunAnnotation? { annotations.last { $0.name == name } }

    /// The frozen environment.
    package var environment: TreeReference? {
        annotations.first { $0.name == RunAnnotation.environment && $0.tree != nil }?.tree
    }

    /// What was known of the end at `time`.
    package func end(at time: Timestamp) -> RunEnd? {
        if let end, end.time <= time { return end }
        if let supersededEnd, supersededEnd.time <= time { return supersededEnd }
        return nil
    }

    /// Tags that it bears, sorted.
    package var tags: [String] { tags(after: tagHistory[...]) }

    package func tags(at time: Timestamp) -> [String] { tags(after: tagHistory.prefix(tagHistory.count(at: time))) }

    private func tags(after history: ArraySlice<RunTagChange>) -> [String] {
        var set = Set<String>()
        for change in history {
            if change.isSet { set.insert(change.tag) } else { set.remove(change.tag) }
        }
        return set.sorted()
    }
}

/// What a recording event needs in packs.
package struct PackSetMark: Sendable, Hashable {
    package let packs: ObjectAddress
    package let pack: PackID
    /// The event's text, which lies in `pack`.
    package let text: ObjectAddress?
    package let sequence: UInt64
}

/// An event that contradicted what came before it and was passed over.
package struct RejectedEvent: Sendable, Hashable {
    package let sequence: UInt64
    /// Its place in the entry, from 0.
    package let index: Int
    package let kind: String
    package let reason: String
}
