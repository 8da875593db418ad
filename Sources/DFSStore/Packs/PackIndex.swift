import DFSChunking
import DFSModel

/// Where one chunk or object lies in a pack.
package struct PackItem: Sendable, Equatable {
    package enum Codec: UInt8, Sendable { case raw = 0, zstd = 1 }

    package let digest: Digest
    package let offset: UInt64
    package let storedLength: UInt32
    package let length: UInt32
    package let codec: Codec

    package init(digest: Digest, offset: UInt64, storedLength: UInt32, length: UInt32, codec: Codec) {
        self.digest = digest
        self.offset = offset
        self.storedLength = storedLength
        self.length = length
        self.codec = codec
    }
}

/// The table of one pack, kept as the bytes of its `.idx` (FORMAT.md §5).
package struct PackIndex: Sendable {
    package enum Kind: UInt8, Sendable { case shared = 1, singleFile = 2, metadata = 3 }

    package let bytes: [UInt8]
    package let id: PackID
    package let kind: Kind
    package let packLength: UInt64
    package let count: Int

    static let headerLength = 64
    static let itemLength = 56
    package static let maximumLength = 1 << 30

    package static func packKey(_ id: PackID) -> String { "packs/\(id.digest.hex.prefix(2))/\(id.digest.hex).pack" }
    package static func indexKey(_ id: PackID) -> String { "packs/\(id.digest.hex.prefix(2))/\(id.digest.hex).idx" }

    /// Builds the table for `items`; sorts them and drops repeated digests, which only the pack of a single file keeps, so
    /// that every byte of it is covered.
    package init(kind: Kind, nonce: [UInt8], packLength: UInt64, items: [PackItem]) {
        var unique = [PackItem]()
        unique.reserveCapacity(items.count)
        let sorted = items.sorted { $0.digest == $1.digest ? $0.offset < $1.offset : $0.digest < $1.digest }
        for item in sorted where kind == .singleFile || unique.last?.digest != item.digest { unique.append(item) }
        var out = Array("DFSIDX".utf8) + [1, kind.rawValue] + nonce.prefix(16)
        out.reserveCapacity(Self.headerLength + unique.count * Self.itemLength)
        out.appendInteger(packLength)
        out.appendInteger(UInt64(unique.count))
        out += [UInt8](repeating: 0, count: 24)
        for item in unique {
            item.digest.appendBytes(to: &out)
            out.appendInteger(item.offset)
            out.appendInteger(item.storedLength)
            out.appendInteger(item.length)
            out.append(item.codec.rawValue)
            out += [0, 0, 0, 0, 0, 0, 0]
        }
        self.init(bytes: out, kind: kind, packLength: packLength, count: unique.count)
    }

    private init(bytes: [UInt8], kind: Kind, packLength: UInt64, count: Int) {
        self.bytes = bytes
        self.kind = kind
        self.packLength = packLength
        self.count = count
        id = PackID(Digest.of(bytes))
    }

    /// Checks everything about the table itself: its id, order, ranges inside the pack, no overlap.
    package static func decode(_ bytes: [UInt8], expecting id: PackID) throws(DFSError) -> PackIndex {
        guard Digest.of(bytes) == id.digest else {
            throw DFSError(
                .corrupt, "\(indexKey(id)) is damaged", cause: "its SHA-256 is not its name", hint: "dfs verify")
        }
        var r = BinaryReader(bytes, what: indexKey(id))
        try r.expect(Array("DFSIDX".utf8), "no DFSIDX")
        guard try r.integer(UInt8.self) == 1 else {
            throw DFSError(.newerFormat, "a pack of a newer format", hint: "install a newer dfs")
        }
        guard let kind = Kind(rawValue: try r.integer(UInt8.self)) else { throw r.problem("unknown kind") }
        _ = try r.take(16)
        let packLength = try r.integer(UInt64.self)
        let count = try r.integer(UInt64.self)
        try r.expect([UInt8](repeating: 0, count: 24), "reserved bytes set")
        guard count <= 1 << 30, packLength <= 1 << 50, r.remaining == Int(count) * itemLength else {
            throw r.problem("implausible counts")
        }
        let index = PackIndex(bytes: bytes, kind: kind, packLength: packLength, count: Int(count))
        try index.checkItems(r)
        return index
    }

    private func checkItems(_ r: BinaryReader) throws(DFSError) {
        var ranges = [(UInt64, UInt64)]()
        ranges.reserveCapacity(count)
        var previous: PackItem?
        for i in 0..<count {
            let at = Self.headerLength + i * Self.itemLength
            let item = self[i]
            guard PackItem.Codec(rawValue: bytes[at + 48]) != nil, bytes[at + 49..<at + 56].allSatisfy({ $0 == 0 })
            else { throw r.problem("unknown codec") }
            if let previous {
                let isRepeated = item.digest == previous.digest
                guard
                    previous.digest < item.digest || isRepeated && kind == .singleFile && previous.offset < item.offset
                else { throw r.problem("digests out of order") }
            }
            previous = item
            let end = item.offset.addingReportingOverflow(UInt64(item.storedLength))
            guard !end.overflow, end.partialValue <= packLength, item.length <= 1 << 30,
                item.codec == .zstd || item.length == item.storedLength
            else { throw r.problem("item out of range") }
            if item.storedLength > 0 { ranges.append((item.offset, end.partialValue)) }
        }
        ranges.sort { $0.0 < $1.0 }
        for (a, b) in zip(ranges, ranges.dropFirst()) where a.1 > b.0 { throw r.problem("items overlap") }
        try checkKind(ranges, r)
    }

    /// What is demanded of each kind of pack; `ranges` are those of the items, in order.
    private func checkKind(_ ranges: [(UInt64, UInt64)], _ r: BinaryReader) throws(DFSError) {
        let codec: PackItem.Codec
        switch kind {
        case .shared:
            let hasExtent = (0..<count).contains { self[$0].codec == .raw && self[$0].storedLength >= 4096 }
            if hasExtent, packLength % 4096 != 0 { throw r.problem("length is no multiple of 4,096") }
            return
        case .singleFile: codec = .raw
        case .metadata: codec = .zstd
        }
        guard (0..<count).allSatisfy({ self[$0].codec == codec }) else {
            throw r.problem("codec of another kind of pack")
        }
        var end: UInt64 = 0
        for range in ranges {
            guard range.0 == end else { throw r.problem("a gap between items") }
            end = range.1
        }
        guard end == packLength else { throw r.problem("items do not reach the end") }
    }

    package subscript(i: Int) -> PackItem {
        let at = Self.headerLength + i * Self.itemLength
        return bytes.withUnsafeBytes { b in
            PackItem(
                digest: Digest(
                    words: (
                        UInt64(bigEndian: b.loadUnaligned(fromByteOffset: at, as: UInt64.self)),
                        UInt64(bigEndian: b.loadUnaligned(fromByteOffset: at + 8, as: UInt64.self)),
                        UInt64(bigEndian: b.loadUnaligned(fromByteOffset: at + 16, as: UInt64.self)),
                        UInt64(bigEndian: b.loadUnaligned(fromByteOffset: at + 24, as: UInt64.self))
                    )),
                offset: UInt64(littleEndian: b.loadUnaligned(fromByteOffset: at + 32, as: UInt64.self)),
                storedLength: UInt32(littleEndian: b.loadUnaligned(fromByteOffset: at + 40, as: UInt32.self)),
                length: UInt32(littleEndian: b.loadUnaligned(fromByteOffset: at + 44, as: UInt32.self)),
                codec: b[at + 48] == 1 ? .zstd : .raw)
        }
    }

    package func find(_ digest: Digest) -> PackItem? { firstIndex(of: digest).map { self[$0] } }

    /// Where the items with this digest begin; the pack of a single file has more than one of a repeated chunk.
    package func firstIndex(of digest: Digest) -> Int? {
        var low = 0, high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle].digest < digest { low = middle + 1 } else { high = middle }
        }
        guard low < count, self[low].digest == digest else { return nil }
        return low
    }

    /// Whether an item with this digest and length, as it is, begins at `offset`.
    func holds(_ digest: Digest, at offset: UInt64, length: UInt32) -> Bool {
        guard var i = firstIndex(of: digest) else { return false }
        while i < count, self[i].digest == digest {
            let item = self[i]
            if item.offset == offset { return item.length == length && item.codec == .raw }
            i += 1
        }
        return false
    }
}
