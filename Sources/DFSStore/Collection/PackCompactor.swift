import DFSModel

/// Copies what is still needed of half-dead packs into new ones, as it is stored: a frame stays the same frame, and a raw
/// extent keeps its place modulo 4,096, so that it can be mapped as before.
///
/// Every item is compared with its digest before it is written. Used by one thread. Nothing is part of the store until a
/// ledger entry says what the new packs stand for.
package final class PackCompactor {
    private let store: ObjectStore
    private var metadata: PackWriter?
    private var tight: PackWriter?
    private var aligned: PackWriter?
    private var copied = Set<Digest>()
    private var tables = [PackIndex]()

    package init(store: ObjectStore) { self.store = store }

    /// Copies the items of a pack that `keep` asks for. What is left of the pack of a single file becomes extents of a shared
    /// one.
    package func copy(_ table: PackIndex, keeping keep: (Digest) -> Bool) throws(DFSError) {
        let hasExtents = Self.hasExtents(table)
        var end: UInt64?
        for item in Self.items(of: table, keep) where copied.insert(item.digest).inserted {
            let bytes = try store.stored(item, of: table.id)
            _ = try store.content(of: bytes, item, table.id)
            if hasExtents {
                try append(extent: bytes, item, continues: end == item.offset)
                end = item.offset + UInt64(item.storedLength)
            } else {
                try append(bytes, item, table.kind)
            }
        }
    }

    /// Bytes that the items of a pack that `keep` asks for have as `copy` writes them, with what aligns them.
    package static func rewrittenLength(_ table: PackIndex, keeping keep: (Digest) -> Bool) -> UInt64 {
        let hasExtents = hasExtents(table)
        var length: UInt64 = 0
        var end: UInt64?
        for item in items(of: table, keep) {
            if hasExtents, end != item.offset { length = aligned(length) + item.offset % 4096 }
            length += UInt64(item.storedLength)
            end = item.offset + UInt64(item.storedLength)
        }
        return hasExtents ? aligned(length) : length
    }

    private static func aligned(_ length: UInt64) -> UInt64 { (length + 4095) / 4096 * 4096 }

    /// What `keep` asks for, each once, in the order of places.
    private static func items(of table: PackIndex, _ keep: (Digest) -> Bool) -> [PackItem] {
        var items = [PackItem]()
        for i in 0..<table.count {
            let item = table[i]
            // Only the pack of a single file lists a chunk at each of its places.
            if item.digest != items.last?.digest, keep(item.digest) { items.append(item) }
        }
        items.sort { ($0.offset, $0.storedLength) < ($1.offset, $1.storedLength) }
        return items
    }

    /// Whether raw items lie at places that matter.
    private static func hasExtents(_ table: PackIndex) -> Bool {
        switch table.kind {
        case .metadata: false
        case .singleFile: true
        case .shared: table.packLength % 4096 == 0 && (0..<table.count).allSatisfy { table[$0].codec == .raw }
        }
    }

    private func append(_ bytes: [UInt8], _ item: PackItem, _ kind: PackIndex.Kind) throws(DFSError) {
        let pack: PackWriter
        if kind == .metadata {
            pack = try room(in: &metadata, .metadata)
        } else {
            pack = try room(in: &tight, .shared)
        }
        pack.note(item.digest, storedLength: bytes.count, length: Int(item.length), codec: item.codec)
        try pack.write(bytes)
    }

    /// `continues`: the item before, which was copied too, ends where this one begins.
    private func append(extent bytes: [UInt8], _ item: PackItem, continues: Bool) throws(DFSError) {
        let pack: PackWriter
        if continues, let aligned, aligned.length < store.parameters.packTarget {
            pack = aligned
        } else {
            // A mapped range must be followed by zeros, so what came before ends at a boundary.
            try aligned?.pad()
            pack = try room(in: &aligned, .shared)
            try pack.pad(to: item.offset % 4096)
        }
        pack.note(item.digest, storedLength: bytes.count, length: Int(item.length), codec: item.codec)
        try pack.write(bytes)
    }

    private func room(in open: inout PackWriter?, _ kind: PackIndex.Kind) throws(DFSError) -> PackWriter {
        if let pack = open, pack.length < store.parameters.packTarget { return pack }
        if let pack = open { tables.append(try pack.finish()) }
        let pack = try PackWriter(backend: store.backend, kind: kind)
        open = pack
        return pack
    }

    /// Publishes the new packs, durably, and returns their tables.
    package func finish() throws(DFSError) -> [PackIndex] {
        try aligned?.pad()
        for pack in [metadata, tight, aligned] {
            if let pack { tables.append(try pack.finish()) }
        }
        (metadata, tight, aligned) = (nil, nil, nil)
        return tables
    }
}
