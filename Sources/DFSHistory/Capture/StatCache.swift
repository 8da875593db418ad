import DFSChunking
import DFSIndex
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem

/// Remembers, per directory, what its files were when their content was last recorded, so that an unchanged file is
/// never opened.
///
/// Host-local and derived. A scope (a dataset's or a project's name) keeps one history's rows apart from another's. All rows
/// of a scope rest on the packs of one event, which cover what they name and whose set the history's latest set extends, so
/// whatever is taken from a row is covered by the set of the next version. When one of those packs is condemned, they go: they
/// may name what only removed versions held.
package final class StatCache: Sendable {
    package static let table = "stat"

    private let index: Index
    private let scope: [UInt8]
    /// What the rows rested on when this value was made.
    private let resting: Ground?
    /// The newest condemnation that was known then.
    private let heeded: UInt64
    /// How far back a set is looked for. Other hosts may have recorded that many versions meanwhile.
    private static let reach = 256

    /// The rows of `scope`, for a capture that follows `latest`, the pack set of the history's latest content. They are
    /// dropped unless they rest on that set or one that it extends; `base` gives the set that a set extends. They are dropped
    /// too when `isStruck`: since the entry that the rows heeded, packs of their set were condemned. `heeding` is the newest
    /// condemnation.
    package init(
        index: Index, scope: String, latest: ObjectAddress?, heeding: UInt64,
        base: (ObjectAddress) throws(DFSError) -> ObjectAddress?,
        isStruck: (_ event: EventPacks, _ heeded: UInt64) throws(DFSError) -> Bool
    ) throws(DFSError) {
        self.index = index
        heeded = heeding
        let scope = Array(Digest.of(Array(scope.utf8)).bytes.prefix(8))
        self.scope = scope
        let resting = try index.read { t throws(DFSError) in Ground(try t.get(Self.table, scope)) }
        var next = resting == nil ? nil : latest
        for _ in 0..<Self.reach {
            guard let set = next, set != resting?.event.set else { break }
            next = try base(set)
        }
        if let resting, next == resting.event.set, try !isStruck(resting.event, resting.heeded) {
            self.resting = resting
        } else {
            self.resting = nil
        }
        if self.resting == nil { try index.write { t throws(DFSError) in try Self.empty(scope, t) } }
    }

    /// What the rows of a scope rest on: the packs of an event, also that which holds its recipes and nodes, and the newest
    /// condemnation that was known when it was laid.
    private struct Ground: Equatable {
        let event: EventPacks
        let heeded: UInt64

        init(event: EventPacks, heeded: UInt64) {
            self.event = event
            self.heeded = heeded
        }

        init?(_ value: [UInt8]?) {
            let width = Digest.byteCount
            guard let value, value.count == 2 * width + 8 else { return nil }
            self = value.withUnsafeBytes { raw in
                Ground(
                    event: EventPacks(
                        set: ObjectAddress(Digest(loading: raw, at: 0)), pack: PackID(Digest(loading: raw, at: width))),
                    heeded: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 2 * width, as: UInt64.self)))
            }
        }

        var bytes: [UInt8] {
            let number = withUnsafeBytes(of: heeded.bigEndian) { Array($0) }
            return event.set.digest.bytes + event.pack.digest.bytes + number
        }
    }

    /// The event on whose packs what is taken from the rows relies; `nil`: there are none.
    package var rows: EventPacks? { resting?.event }

    private static func empty(_ scope: [UInt8], _ t: borrowing WriteTransaction) throws(DFSError) {
        var keys = [[UInt8]]()
        try t.forEach(table, prefix: scope) { key, _ throws(DFSError) in
            keys.append(key)
            return true
        }
        for key in keys { try t.delete(table, key) }
    }

    /// A file or symlink as it was.
    package struct Item: Sendable {
        package let entry: TreeEntry
        package let changed: Timestamp
        package let inode: UInt64

        /// Whether the file on disk is certainly the one that was recorded.
        package func matches(_ status: FileStatus) -> Bool {
            status.size == entry.size && status.modified == entry.modified && status.changed == changed
                && status.inode == inode && status.mode & 0o777 == entry.mode
        }
    }

    /// A directory as it was: the tree it became, and its files in order of name. The files of a long directory are kept in
    /// parts (`DirectoryParts`), each under the name that precedes it.
    package struct Row: Sendable {
        package let summary: TreeReference
        /// The names that precede the parts; the first is empty.
        let boundaries: [[UInt8]]
        /// The files, where there is one part.
        let items: [Item]
    }

    package func row(device: UInt64, inode: UInt64) throws(DFSError) -> Row? {
        try index.read { t throws(DFSError) in
            guard let value = try t.get(Self.table, self.key(device, inode)) else { return nil }
            return StatRowCoding.row(value)
        }
    }

    /// The files of a row whose names come after `boundary` and not after `last`; `nil` where there is no bound.
    package func items(
        of row: Row?, device: UInt64, inode: UInt64, after boundary: [UInt8], to last: [UInt8]?
    ) throws(DFSError) -> [Item] {
        guard let row else { return [] }
        if row.boundaries.count == 1, boundary.isEmpty, last == nil { return row.items }
        var items = row.boundaries.count == 1 ? row.items : []
        let begin = max(0, row.boundaries.partitioningIndex { !ByteOrder.precedes(boundary, $0) } - 1)
        let end = row.boundaries.partitioningIndex { name in last.map { ByteOrder.precedes(name, $0) } ?? true }
        for boundary in row.boundaries.count == 1 ? [] : row.boundaries[begin..<max(begin, end)] {
            let found = try index.read { t throws(DFSError) in
                try t.get(Self.table, self.key(device, inode, boundary)).flatMap { StatRowCoding.items($0) }
            }
            items += found ?? []
        }
        return items.filter { item in
            ByteOrder.precedes(boundary, item.entry.name)
                && !(last.map { ByteOrder.precedes($0, item.entry.name) } ?? false)
        }
    }

    /// One part of a row to be written; without `items` it stays as it is.
    package struct Part: Sendable {
        let boundary: [UInt8]
        let items: [Item]?
    }

    package struct Update: Sendable {
        let puts: [(key: [UInt8], value: [UInt8])]
        let deletions: [[UInt8]]
    }

    package func update(
        device: UInt64, inode: UInt64, _ summary: TreeReference, _ parts: [Part], replacing row: Row?
    ) -> Update {
        let kept = Set(parts.count > 1 ? parts.map(\.boundary) : [])
        let old = row.map { $0.boundaries.count > 1 ? $0.boundaries : [] } ?? []
        let deletions = old.filter { !kept.contains($0) }.map { key(device, inode, $0) }
        guard parts.count > 1 else {
            let value = StatRowCoding.encode(summary, boundaries: [[]], items: parts.first?.items ?? [])
            return Update(puts: [(key(device, inode), value)], deletions: deletions)
        }
        var puts = [
            (
                key: key(device, inode),
                value: StatRowCoding.encode(summary, boundaries: parts.map(\.boundary), items: [])
            )
        ]
        for part in parts {
            guard let items = part.items else { continue }
            puts.append((key(device, inode, part.boundary), StatRowCoding.encode(items)))
        }
        return Update(puts: puts, deletions: deletions)
    }

    /// Writes rows, all of which rest on `record`'s packs from now on. Call only when the ledger has it. Rows that
    /// another process wrote meanwhile go: they may rest on a set that this one does not extend.
    package func write(_ updates: [Update], restingOn record: RecordReference) throws(DFSError) {
        let ground = Ground(event: EventPacks(record), heeded: heeded)
        if updates.isEmpty, resting == ground { return }
        let sorted = updates.flatMap(\.puts).sorted { ByteOrder.precedes($0.key, $1.key) }
        try index.write { t throws(DFSError) in
            if Ground(try t.get(Self.table, self.scope)) != self.resting { try Self.empty(self.scope, t) }
            try t.put(Self.table, self.scope, ground.bytes)
            for update in updates { for key in update.deletions { try t.delete(Self.table, key) } }
            for row in sorted { try t.put(Self.table, row.key, row.value) }
        }
    }

    /// Of a row, or with `boundary` of one of its parts.
    private func key(_ device: UInt64, _ inode: UInt64, _ boundary: [UInt8]? = nil) -> [UInt8] {
        var out = scope
        out.reserveCapacity(25 + (boundary?.count ?? 0))
        for value in [device, inode] { withUnsafeBytes(of: value.bigEndian) { out.append(contentsOf: $0) } }
        if let boundary { out += [1] + boundary }
        return out
    }
}

extension Array {
    /// The number of leading elements that `belongs` holds for, when none after them do.
    func partitioningIndex(where belongs: (Element) -> Bool) -> Int {
        var low = 0, high = count
        while low < high {
            let middle = (low + high) / 2
            if belongs(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
