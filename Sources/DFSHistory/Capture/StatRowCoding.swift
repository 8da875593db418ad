import DFSModel
import DFSStore

/// The bytes of the stat cache's rows. Private to this host: a change of it changes the index's identity
/// (`Repository.indexSchema`).
enum StatRowCoding {
    /// Bytes of an item besides its recipe's address, name and target.
    private static let itemBytes = 8 * 2 + 12 * 2 + 8 + 32

    static func encode(
        _ summary: TreeReference, boundaries: [[UInt8]], items: [StatCache.Item]
    ) -> [UInt8] {
        var out = [UInt8]()
        out.reserveCapacity(96 + size(of: items))
        summary.content.digest.appendBytes(to: &out)
        summary.tree.digest.appendBytes(to: &out)
        out.appendInteger(summary.files)
        out.appendInteger(summary.bytes)
        out.appendInteger(UInt32(boundaries.count))
        for boundary in boundaries.dropFirst() {
            out.appendInteger(UInt16(boundary.count))
            out += boundary
        }
        append(items, to: &out)
        return out
    }

    static func encode(_ items: [StatCache.Item]) -> [UInt8] {
        var out = [UInt8]()
        out.reserveCapacity(8 + size(of: items))
        append(items, to: &out)
        return out
    }

    private static func size(of items: [StatCache.Item]) -> Int {
        items.reduce(0) { $0 + itemBytes + 32 + $1.entry.name.count }
    }

    private static func append(_ items: [StatCache.Item], to out: inout [UInt8]) {
        out.appendInteger(UInt64(items.count))
        for item in items {
            let e = item.entry
            out.appendInteger(
                UInt64(e.mode) | UInt64(e.name.count) << 16 | (e.address == nil ? 0 : 1) << 32)
            out.appendInteger(e.size)
            for time in [e.modified, item.changed] {
                out.appendInteger(time.seconds)
                out.appendInteger(time.nanoseconds)
            }
            out.appendInteger(item.inode)
            e.content.digest.appendBytes(to: &out)
            if let address = e.address { address.digest.appendBytes(to: &out) }
            out += e.name
        }
    }

    static func row(_ value: [UInt8]) -> StatCache.Row? {
        value.withUnsafeBytes { raw in
            var r = ByteCursor(raw)
            guard let content = r.digest(), let tree = r.digest(), let files = r.u64(), let bytes = r.u64(),
                let count = r.integer(UInt32.self), count >= 1
            else { return nil }
            var boundaries: [[UInt8]] = [[]]
            for _ in 1..<count {
                guard let length = r.integer(UInt16.self), let name = r.take(Int(length)) else { return nil }
                boundaries.append(name)
            }
            guard let items = items(&r) else { return nil }
            let summary = TreeReference(
                content: ContentDigest(content), tree: ObjectAddress(tree), files: files, bytes: bytes)
            return StatCache.Row(summary: summary, boundaries: boundaries, items: items)
        }
    }

    static func items(_ value: [UInt8]) -> [StatCache.Item]? {
        value.withUnsafeBytes { raw in
            var r = ByteCursor(raw)
            return items(&r)
        }
    }

    private static func items(_ r: inout ByteCursor) -> [StatCache.Item]? {
        guard let count = r.u64(), count <= UInt64(r.remaining / itemBytes) else { return nil }
        var items = [StatCache.Item]()
        items.reserveCapacity(Int(count))
        for _ in 0..<count {
            guard let item = item(&r) else { return nil }
            items.append(item)
        }
        return items
    }

    private static func item(_ r: inout ByteCursor) -> StatCache.Item? {
        guard let head = r.u64(), let size = r.u64(), let modified = r.time(), let changed = r.time(),
            let inode = r.u64(), let content = r.digest()
        else { return nil }
        var address: ObjectAddress?
        if head >> 32 & 1 == 1 {
            guard let digest = r.digest() else { return nil }
            address = ObjectAddress(digest)
        }
        guard let name = r.take(Int(head >> 16 & 0xffff)) else { return nil }
        let entry = TreeEntry(
            name: name, kind: .file, mode: UInt16(truncatingIfNeeded: head), modified: modified, size: size,
            content: ContentDigest(content), address: address)
        return StatCache.Item(entry: entry, changed: changed, inode: inode)
    }
}

private struct ByteCursor {
    private let raw: UnsafeRawBufferPointer
    private var at = 0

    init(_ raw: UnsafeRawBufferPointer) { self.raw = raw }

    var remaining: Int { raw.count - at }

    mutating func integer<T: FixedWidthInteger>(_ type: T.Type) -> T? {
        guard at + MemoryLayout<T>.size <= raw.count else { return nil }
        defer { at += MemoryLayout<T>.size }
        return T(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: T.self))
    }
    mutating func u64() -> UInt64? { integer(UInt64.self) }
    mutating func digest() -> Digest? {
        guard at + Digest.byteCount <= raw.count else { return nil }
        defer { at += Digest.byteCount }
        return Digest(loading: raw, at: at)
    }
    mutating func time() -> Timestamp? {
        guard let seconds = integer(Int64.self), let nanoseconds = integer(UInt32.self), nanoseconds < 1_000_000_000
        else { return nil }
        return Timestamp(seconds: seconds, nanoseconds: nanoseconds)
    }
    mutating func take(_ count: Int) -> [UInt8]? {
        guard at + count <= raw.count else { return nil }
        defer { at += count }
        return Array(UnsafeRawBufferPointer(rebasing: raw[at..<at + count]))
    }
}
