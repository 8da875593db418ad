import DFSIndex
import DFSModel

/// Where chunks and objects lie, as this host knows it: digest → pack and item.
///
/// Derived from the tables of packs that the ledger reaches; may lack anything at any time. A miss means "store
/// again" to a writer and "look in the packs' own tables" to a reader.
final class ChunkTable: Sendable {
    static let tables = ["chunks", "packs", "objects"]
    /// Larger objects are not kept.
    private static let keptLimit = 4096
    /// Items of tables that are sorted together before they are put.

    private let index: Index

    init(index: Index) { self.index = index }

    struct Place: Sendable, Equatable {
        let pack: PackID
        let item: PackItem
    }

    // MARK: Packs

    /// Whether the table of a pack was taken in.
    func knows(_ pack: PackID) throws(DFSError) -> Bool {
        try index.read { t throws(DFSError) in try t.get("packs", Self.idKey(pack)) != nil }
    }

    func packs() throws(DFSError) -> [PackID] {
        try index.read { t throws(DFSError) in
            var out = [PackID]()
            try t.forEach("packs", prefix: [UInt8(ascii: "n")]) { _, value throws(DFSError) in
                if let digest = Digest(bytes: value) { out.append(PackID(digest)) }
                return true
            }
            return out
        }
    }

    /// Takes in tables, and objects to keep. A pack that is known already is passed over. `also` writes more in the same
    /// transaction.
    func add(
        _ tables: [PackIndex], keeping objects: [(address: ObjectAddress, bytes: [UInt8])] = [],
        also: (borrowing WriteTransaction) throws(DFSError) -> Void = { _ in }
    ) throws(DFSError) {
        let items = Self.sorted(tables)
        try index.write { t throws(DFSError) in
            var next: UInt32 = 1
            if let last = try t.last("packs", prefix: [UInt8(ascii: "n")]),
                let n = Self.number(Array(last.key.dropFirst()))
            {
                next = n + 1
            }
            var numbers = [UInt32?]()
            for table in tables {
                guard try t.get("packs", Self.idKey(table.id)) == nil else {
                    numbers.append(nil)
                    continue
                }
                try t.put("packs", Self.numberKey(next), table.id.digest.bytes)
                try t.put("packs", Self.idKey(table.id), Self.bigEndian(next))
                numbers.append(next)
                next += 1
            }
            for (table, i) in items {
                guard let number = numbers[Int(table)] else { continue }
                let item = tables[Int(table)][Int(i)]
                try t.put("chunks", item.digest.bytes, Self.encode(pack: number, item))
            }
            for object in objects where object.bytes.count <= Self.keptLimit {
                try t.put("objects", object.address.digest.bytes, object.bytes)
            }
            try also(t)
        }
    }

    /// The items of all tables in the order of their digests: a B-tree is filled several times faster in order.
    private static func sorted(_ tables: [PackIndex]) -> [(table: UInt32, item: UInt32)] {
        var keyed = [(key: UInt64, table: UInt32, item: UInt32)]()
        keyed.reserveCapacity(tables.reduce(0) { $0 + $1.count })
        for (table, index) in tables.enumerated() {
            for i in 0..<index.count { keyed.append((index[i].digest.words.0, UInt32(table), UInt32(i))) }
        }
        keyed.sort { $0.key < $1.key }
        return keyed.map { ($0.table, $0.item) }
    }

    /// The bytes kept of an object, which the caller compares with its digest.
    func object(_ digest: Digest) throws(DFSError) -> [UInt8]? {
        try index.read { t throws(DFSError) in try t.get("objects", digest.bytes) }
    }

    // MARK: Chunks

    func place(of digest: Digest) throws(DFSError) -> Place? {
        try index.read { t throws(DFSError) in
            let found = try t.withValue("chunks", digest.bytes) { (value) throws(DFSError) in
                value.flatMap { Self.decode($0, digest) }
            }
            // Numbers are those of this snapshot of the index: it may be emptied and filled anew at any time.
            guard let found, let id = try t.get("packs", Self.numberKey(found.pack)).flatMap({ Digest(bytes: $0) })
            else { return nil }
            return Place(pack: PackID(id), item: found.item)
        }
    }

    private static func encode(pack: UInt32, _ item: PackItem) -> [UInt8] {
        var out = bigEndian(pack)
        out.reserveCapacity(21)
        out.appendInteger(item.offset)
        out.appendInteger(item.storedLength)
        out.appendInteger(item.length)
        out.append(item.codec.rawValue)
        return out
    }

    private static func decode(_ b: UnsafeRawBufferPointer, _ digest: Digest) -> (pack: UInt32, item: PackItem)? {
        guard b.count == 21, let codec = PackItem.Codec(rawValue: b[20]) else { return nil }
        let item = PackItem(
            digest: digest, offset: UInt64(littleEndian: b.loadUnaligned(fromByteOffset: 4, as: UInt64.self)),
            storedLength: UInt32(littleEndian: b.loadUnaligned(fromByteOffset: 12, as: UInt32.self)),
            length: UInt32(littleEndian: b.loadUnaligned(fromByteOffset: 16, as: UInt32.self)), codec: codec)
        return (UInt32(bigEndian: b.loadUnaligned(as: UInt32.self)), item)
    }

    private static func bigEndian(_ n: UInt32) -> [UInt8] {
        [
            UInt8(truncatingIfNeeded: n >> 24), UInt8(truncatingIfNeeded: n >> 16), UInt8(truncatingIfNeeded: n >> 8),
            UInt8(truncatingIfNeeded: n),
        ]
    }
    private static func number(_ bytes: [UInt8]?) -> UInt32? {
        guard let bytes, bytes.count == 4 else { return nil }
        return bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }
    private static func numberKey(_ n: UInt32) -> [UInt8] { [UInt8(ascii: "n")] + bigEndian(n) }
    private static func idKey(_ id: PackID) -> [UInt8] { [UInt8(ascii: "i")] + id.digest.bytes }
}
