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

    func isCondemned(_ pack: PackID) throws(DFSError) -> Bool {
        try index.read { t throws(DFSError) in try t.get("packs", Self.condemnedKey(pack)) != nil }
    }

    func packs() throws(DFSError) -> [PackID] {
        try index.read { t throws(DFSError) in
            var out = [PackID]()
            try t.forEach("packs", prefix: [UInt8(ascii: "n")]) { _, value throws(DFSError) in
                if let id = Self.id(value) { out.append(id) }
                return true
            }
            return out
        }
    }

    /// Takes in tables, and objects to keep. A pack that is known already, or condemned, is passed over. `also` writes more in
    /// the same transaction.
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
                guard try t.get("packs", Self.idKey(table.id)) == nil,
                    try t.get("packs", Self.condemnedKey(table.id)) == nil
                else {
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

    // MARK: Collection

    /// Says that writers must not rely on these packs any more; readers may, until they are deleted.
    func condemn(_ packs: [PackID]) throws(DFSError) {
        try index.write { t throws(DFSError) in
            for pack in packs {
                try t.put("packs", Self.condemnedKey(pack), [])
                guard let number = Self.number(try t.get("packs", Self.idKey(pack))) else { continue }
                try t.put("packs", Self.numberKey(number), pack.digest.bytes + [Self.condemnedMark])
            }
        }
    }

    /// Takes in a table that stands in for condemned packs: what was found in those is found here from now on.
    func redirect(to table: PackIndex) throws(DFSError) {
        try add([table])
        try index.write { t throws(DFSError) in
            guard let number = Self.number(try t.get("packs", Self.idKey(table.id))) else { return }
            var lasting = [UInt32: Bool]()
            for i in 0..<table.count {
                let item = table[i]
                let standing = try t.withValue("chunks", item.digest.bytes) { (value) throws(DFSError) in
                    value.flatMap { Self.decode($0, item.digest)?.pack }
                }
                if let standing {
                    if lasting[standing] == nil {
                        lasting[standing] = try t.get("packs", Self.numberKey(standing))?.count == Digest.byteCount
                    }
                    if lasting[standing] == true { continue }
                }
                try t.put("chunks", item.digest.bytes, Self.encode(pack: number, item))
            }
        }
    }

    /// Forgets packs that are deleted. Their numbers stay taken, so that no row ever points into another pack.
    func drop(_ packs: [PackID]) throws(DFSError) {
        try index.write { t throws(DFSError) in
            for pack in packs {
                guard let number = Self.number(try t.get("packs", Self.idKey(pack))) else { continue }
                try t.put("packs", Self.numberKey(number), [])
                try t.delete("packs", Self.idKey(pack))
            }
        }
    }

    /// The bytes kept of an object, which the caller compares with its digest.
    func object(_ digest: Digest) throws(DFSError) -> [UInt8]? {
        try index.read { t throws(DFSError) in try t.get("objects", digest.bytes) }
    }

    // MARK: Chunks

    /// Where something can be read.
    func place(of digest: Digest) throws(DFSError) -> Place? { try find(digest)?.place }

    /// Where something lies that a new entry may rely on; `nil`, store it again, also where its pack is condemned.
    func lastingPlace(of digest: Digest) throws(DFSError) -> Place? {
        try find(digest).flatMap { $0.isCondemned ? nil : $0.place }
    }

    private func find(_ digest: Digest) throws(DFSError) -> (place: Place, isCondemned: Bool)? {
        try index.read { t throws(DFSError) in
            let found = try t.withValue("chunks", digest.bytes) { (value) throws(DFSError) in
                value.flatMap { Self.decode($0, digest) }
            }
            // Numbers are those of this snapshot of the index: it may be emptied and filled anew at any time.
            guard let found, let pack = try t.get("packs", Self.numberKey(found.pack)), let id = Self.id(pack)
            else { return nil }
            return (Place(pack: id, item: found.item), pack.count > Digest.byteCount)
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

    private static let condemnedMark: UInt8 = 1

    /// The pack of a number; `nil` of one that was deleted.
    private static func id(_ value: [UInt8]) -> PackID? {
        Digest(bytes: Array(value.prefix(Digest.byteCount))).map { PackID($0) }
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
    private static func condemnedKey(_ id: PackID) -> [UInt8] { [UInt8(ascii: "x")] + id.digest.bytes }
    private static func idKey(_ id: PackID) -> [UInt8] { [UInt8(ascii: "i")] + id.digest.bytes }
}
