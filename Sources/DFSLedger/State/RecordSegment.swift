import DFSModel

/// Some consecutive records of a list, unchangeable. Those read from a cache are decoded one at a time, when asked for.
final class RecordSegment<Record: SnapshotCodable & Hashable>: Sendable {
    /// Number of the entry that changed one of them last. The content follows from the ledger up to there.
    let changed: UInt64
    private let contents: Contents

    private enum Contents {
        case decoded([Record])
        case encoded(EncodedRecords)
    }

    init(changed: UInt64, records: [Record]) {
        self.changed = changed
        contents = .decoded(records)
    }

    /// Checks the frame of the row, not the records.
    init(row: [UInt8]) throws(DFSError) {
        let encoded = try EncodedRecords(row)
        changed = encoded.changed
        contents = .encoded(encoded)
    }

    var count: Int {
        switch contents {
        case .decoded(let records): records.count
        case .encoded(let encoded): encoded.count
        }
    }

    subscript(place: Int) -> Record {
        switch contents {
        case .decoded(let records): records[place]
        case .encoded(let encoded): Self.decode(encoded, place)
        }
    }

    var records: [Record] {
        switch contents {
        case .decoded(let records): records
        case .encoded(let encoded): (0..<encoded.count).map { Self.decode(encoded, $0) }
        }
    }

    /// The bytes of a row are what this program wrote: the index compares each value with its checksum, and the head row
    /// names the form. So a record that cannot be read is a mistake in this program, not damage.
    private static func decode(_ encoded: EncodedRecords, _ place: Int) -> Record {
        do throws(DFSError) {
            return try encoded.record(place)
        } catch {
            fatalError("the cached state of a ledger is malformed: \(error.cause ?? error.what)")
        }
    }

    var row: [UInt8] {
        switch contents {
        case .decoded(let records): EncodedRecords.row(changed: changed, records)
        case .encoded(let encoded): encoded.bytes
        }
    }

    /// Calls `body` with the place and the look-up value of each record that has one.
    func forEachLookup(_ body: (Int, UInt64) -> Void) {
        switch contents {
        case .decoded(let records):
            for (place, record) in records.enumerated() {
                if let lookup = record.lookup { body(place, lookup) }
            }
        case .encoded(let encoded): encoded.forEachLookup(body)
        }
    }
}

/// The row of a segment: u64 entry that changed it last, u32 number of records, u32 number of look-up values (that of the
/// records, or 0), the look-up values (u64), where each record ends (u32, after the first byte of the first), the records.
private struct EncodedRecords: Sendable {
    let bytes: [UInt8]
    let changed: UInt64
    let count: Int
    private let lookups: Int
    private let ends: Int
    private let start: Int

    private static let header = 16

    static func row<Record: SnapshotCodable>(changed: UInt64, _ records: [Record]) -> [UInt8] {
        var payload = SnapshotWriter()
        var ends = [UInt32]()
        for record in records {
            record.write(to: &payload)
            ends.append(UInt32(payload.bytes.count))
        }
        let lookups = records.compactMap(\.lookup)
        var writer = SnapshotWriter()
        writer.integer(changed)
        writer.integer(UInt32(records.count))
        writer.integer(UInt32(lookups.count))
        for lookup in lookups { writer.integer(lookup) }
        for end in ends { writer.integer(end) }
        writer.raw(payload.bytes)
        return writer.bytes
    }

    init(_ row: [UInt8]) throws(DFSError) {
        var reader = SnapshotReader(row)
        bytes = row
        changed = try reader.integer(UInt64.self)
        count = Int(try reader.integer(UInt32.self))
        lookups = Int(try reader.integer(UInt32.self))
        guard count <= row.count, lookups == 0 || lookups == count else {
            throw SnapshotReader.problem("a segment's header is malformed")
        }
        ends = Self.header + 8 * lookups
        start = ends + 4 * count
        guard start <= row.count else { throw SnapshotReader.problem("it ends early") }
        var previous = 0
        for place in 0..<count {
            let end = self.end(place)
            guard end >= previous else { throw SnapshotReader.problem("records of a segment are out of order") }
            previous = end
        }
        guard start + previous == row.count else { throw SnapshotReader.problem("a segment has another length") }
    }

    private func end(_ place: Int) -> Int {
        Int(
            UInt32(
                littleEndian: bytes.withUnsafeBytes {
                    $0.loadUnaligned(fromByteOffset: ends + 4 * place, as: UInt32.self)
                }))
    }

    func record<Record: SnapshotCodable>(_ place: Int) throws(DFSError) -> Record {
        precondition(place < count)
        var reader = SnapshotReader(bytes, start + (place == 0 ? 0 : end(place - 1))..<start + end(place))
        let record = try Record(from: &reader)
        guard reader.isAtEnd else { throw SnapshotReader.problem("bytes follow a record") }
        return record
    }

    func forEachLookup(_ body: (Int, UInt64) -> Void) {
        bytes.withUnsafeBytes { raw in
            for place in 0..<lookups {
                body(
                    place,
                    UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: Self.header + 8 * place, as: UInt64.self)))
            }
        }
    }
}
