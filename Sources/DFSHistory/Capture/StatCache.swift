import DFSChunking
import DFSIndex
import DFSModel
import DFSStore
import DFSSystem

/// Remembers, per directory, what its files were when their content was last recorded, so that an unchanged file is
/// never opened.
///
/// Host-local and derived. A scope (a dataset's or a project's name) keeps one history's rows apart from another's. All rows
/// of a scope rest on one pack set, which covers what they name and which the history's latest set extends, so whatever is
/// taken from a row is covered by the set of the next version. When a pack of that set is condemned, they go: they may name
/// what only removed versions held.
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
        isStruck: (_ set: ObjectAddress, _ heeded: UInt64) throws(DFSError) -> Bool
    ) throws(DFSError) {
        self.index = index
        heeded = heeding
        let scope = Array(Digest.of(Array(scope.utf8)).bytes.prefix(8))
        self.scope = scope
        let resting = try index.read { t throws(DFSError) in Ground(try t.get(Self.table, scope)) }
        var next = resting == nil ? nil : latest
        for _ in 0..<Self.reach {
            guard let set = next, set != resting?.set else { break }
            next = try base(set)
        }
        if let resting, next == resting.set, try !isStruck(resting.set, resting.heeded) {
            self.resting = resting
        } else {
            self.resting = nil
        }
        if self.resting == nil { try index.write { t throws(DFSError) in try Self.empty(scope, t) } }
    }

    /// What the rows of a scope rest on: a pack set, and the newest condemnation that was known when it was laid.
    private struct Ground: Equatable {
        let set: ObjectAddress
        let heeded: UInt64

        init(set: ObjectAddress, heeded: UInt64) {
            self.set = set
            self.heeded = heeded
        }

        init?(_ value: [UInt8]?) {
            guard let value, let set = Digest(bytes: value.prefix(Digest.byteCount)),
                value.count == Digest.byteCount + 8
            else { return nil }
            let heeded = value.dropFirst(Digest.byteCount).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            self.init(set: ObjectAddress(set), heeded: heeded)
        }

        var bytes: [UInt8] {
            self.set.digest.bytes + stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: heeded >> $0) }
        }
    }

    /// The set on which what is taken from the rows relies; `nil`: there are none.
    package var rows: ObjectAddress? { resting?.set }

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

    /// A directory as it was: its files in order of name, and the tree node it became.
    package struct Row: Sendable {
        package let summary: TreeReference
        package let items: [Item]
    }

    package func row(device: UInt64, inode: UInt64) throws(DFSError) -> Row? {
        try index.read { t throws(DFSError) in
            guard let value = try t.get(Self.table, self.key(device, inode)) else { return nil }
            return Self.decode(value)
        }
    }

    package struct Update: Sendable {
        let key: [UInt8]
        let value: [UInt8]
    }

    package func update(device: UInt64, inode: UInt64, _ row: Row) -> Update {
        Update(key: key(device, inode), value: Self.encode(row))
    }

    /// Writes rows, all of which rest on `packs` from now on. Call only when the ledger has named that set. Rows that
    /// another process wrote meanwhile go: they may rest on a set that this one does not extend.
    package func write(_ updates: [Update], restingOn packs: ObjectAddress) throws(DFSError) {
        let ground = Ground(set: packs, heeded: heeded)
        if updates.isEmpty, resting == ground { return }
        let sorted = updates.sorted { ByteOrder.precedes($0.key, $1.key) }
        try index.write { t throws(DFSError) in
            if Ground(try t.get(Self.table, self.scope)) != self.resting { try Self.empty(self.scope, t) }
            try t.put(Self.table, self.scope, ground.bytes)
            for update in sorted { try t.put(Self.table, update.key, update.value) }
        }
    }

    private func key(_ device: UInt64, _ inode: UInt64) -> [UInt8] {
        var out = scope
        out.reserveCapacity(24)
        for value in [device, inode] {
            for shift in stride(from: 56, through: 0, by: -8) {
                out.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
            }
        }
        return out
    }

    // MARK: Encoding (private to this host: a change of it changes the index's identity)

    private static func encode(_ row: Row) -> [UInt8] {
        var w = ByteWriter()
        w.digest(row.summary.content.digest)
        w.digest(row.summary.tree.digest)
        w.u64(row.summary.files)
        w.u64(row.summary.bytes)
        w.u64(UInt64(row.items.count))
        for item in row.items {
            let e = item.entry
            w.u64(
                UInt64(e.kind.rawValue) | UInt64(e.mode) << 8 | UInt64(e.name.count) << 24 | UInt64(e.target.count)
                    << 40
                    | (e.address == nil ? 0 : 1) << 63)
            w.u64(e.size)
            w.time(e.modified)
            w.time(item.changed)
            w.u64(item.inode)
            w.digest(e.content.digest)
            if let address = e.address { w.digest(address.digest) }
            w.bytes += e.name
            w.bytes += e.target
        }
        return w.bytes
    }

    private static func decode(_ value: [UInt8]) -> Row? {
        value.withUnsafeBytes { raw in
            var r = ByteCursor(raw)
            guard let content = r.digest(), let tree = r.digest(), let files = r.u64(), let bytes = r.u64(),
                let count = r.u64(), count <= UInt64(value.count / 80)
            else { return nil }
            var items = [Item]()
            items.reserveCapacity(Int(count))
            for _ in 0..<count {
                guard let item = item(&r) else { return nil }
                items.append(item)
            }
            let summary = TreeReference(
                content: ContentDigest(content), tree: ObjectAddress(tree), files: files, bytes: bytes)
            return Row(summary: summary, items: items)
        }
    }

    private static func item(_ r: inout ByteCursor) -> Item? {
        guard let head = r.u64(), let kind = TreeEntry.Kind(rawValue: UInt8(truncatingIfNeeded: head)),
            let size = r.u64(), let modified = r.time(), let changed = r.time(), let inode = r.u64(),
            let content = r.digest()
        else { return nil }
        var address: ObjectAddress?
        if head >> 63 == 1 {
            guard let digest = r.digest() else { return nil }
            address = ObjectAddress(digest)
        }
        guard let name = r.take(Int(head >> 24 & 0xffff)), let target = r.take(Int(head >> 40 & 0xffff)) else {
            return nil
        }
        let entry = TreeEntry(
            name: name, kind: kind, mode: UInt16(truncatingIfNeeded: head >> 8), modified: modified, size: size,
            content: ContentDigest(content), address: address, target: target)
        return Item(entry: entry, changed: changed, inode: inode)
    }
}

private struct ByteWriter {
    var bytes = [UInt8]()

    mutating func u64(_ value: UInt64) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    mutating func digest(_ digest: Digest) {
        for word in [digest.words.0, digest.words.1, digest.words.2, digest.words.3] { u64(word) }
    }
    mutating func time(_ time: Timestamp) {
        u64(UInt64(bitPattern: time.seconds))
        u64(UInt64(time.nanoseconds))
    }
}

private struct ByteCursor {
    private let raw: UnsafeRawBufferPointer
    private var at = 0

    init(_ raw: UnsafeRawBufferPointer) { self.raw = raw }

    mutating func u64() -> UInt64? {
        guard at + 8 <= raw.count else { return nil }
        defer { at += 8 }
        return UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt64.self))
    }
    mutating func digest() -> Digest? {
        guard let a = u64(), let b = u64(), let c = u64(), let d = u64() else { return nil }
        return Digest(words: (a, b, c, d))
    }
    mutating func time() -> Timestamp? {
        guard let seconds = u64(), let nanoseconds = u64(), nanoseconds < 1_000_000_000 else { return nil }
        return Timestamp(seconds: Int64(bitPattern: seconds), nanoseconds: UInt32(nanoseconds))
    }
    mutating func take(_ count: Int) -> [UInt8]? {
        guard at + count <= raw.count else { return nil }
        defer { at += count }
        return Array(raw[at..<at + count])
    }
}
