import DFSModel

/// A list of records that grows at its end: a value, of which copies share all but what was changed since.
///
/// It is cut into segments of a fixed number of records. Appending and changing touch one of them, and so does saving
/// (`rows`). A segment that was read from a cache stays encoded; its records are decoded each time they are asked for, so
/// that reading a long history costs nothing until somebody looks at it.
package struct RecordList<Record: SnapshotCodable & Hashable>: Sendable, Hashable {
    /// All full.
    private var segments: [RecordSegment<Record>] = []
    /// Fewer than a segment holds.
    private var tail: [Record] = []
    /// Number of the entry that changed the tail last.
    private var tailChanged: UInt64 = 0
    private var lookups = LookupTable()

    /// Records in a segment: what one change writes again, at worst.
    static var capacity: Int { 128 }

    package init() {}

    package static func == (a: Self, b: Self) -> Bool { a.elementsEqual(b) }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        if let last { hasher.combine(last) }
    }

    /// `sequence` is the number of the entry that says so.
    package mutating func append(_ record: Record, at sequence: UInt64) {
        if let lookup = record.lookup { lookups.insert(lookup, count) }
        tail.append(record)
        tailChanged = sequence
        guard tail.count == Self.capacity else { return }
        segments.append(RecordSegment(changed: tailChanged, records: tail))
        tail = []
    }

    /// Changes a record, but not what it is looked up by. `sequence` is the number of the entry that says so.
    package mutating func update(_ position: Int, at sequence: UInt64, _ change: (inout Record) -> Void) {
        let (segment, place) = position.quotientAndRemainder(dividingBy: Self.capacity)
        if segment == segments.count {
            change(&tail[place])
            tailChanged = sequence
        } else {
            var records = segments[segment].records
            change(&records[place])
            segments[segment] = RecordSegment(changed: sequence, records: records)
        }
    }

    /// Where the record stands that has this look-up value and is the one meant.
    func position(lookup: UInt64, where isMeant: (Record) -> Bool) -> Int? {
        lookups.first(lookup) { isMeant(self[$0]) }
    }
}

extension RecordList: RandomAccessCollection {
    package var startIndex: Int { 0 }
    package var endIndex: Int { segments.count * Self.capacity + tail.count }

    package subscript(position: Int) -> Record {
        let (segment, place) = position.quotientAndRemainder(dividingBy: Self.capacity)
        return segment == segments.count ? tail[place] : segments[segment][place]
    }
}

// MARK: Rows

extension RecordList {
    /// The segments that entries after `sequence` changed, by number.
    func rows(changedAfter sequence: UInt64) -> [(segment: Int, row: [UInt8])] {
        var rows = [(segment: Int, row: [UInt8])]()
        for (number, segment) in segments.enumerated() where segment.changed > sequence {
            rows.append((number, segment.row))
        }
        if !tail.isEmpty, tailChanged > sequence {
            rows.append((segments.count, RecordSegment(changed: tailChanged, records: tail).row))
        }
        return rows
    }

    /// Adds the next segment, as `rows` gave it. All but the last are full.
    mutating func append(row: [UInt8], number: Int) throws(DFSError) {
        guard number == segments.count, tail.isEmpty else {
            throw SnapshotReader.problem("a segment is missing or out of place")
        }
        let segment = try RecordSegment<Record>(row: row)
        guard (1...Self.capacity).contains(segment.count) else {
            throw SnapshotReader.problem("a segment is empty or too long")
        }
        let first = count
        segment.forEachLookup { lookups.insert($1, first + $0) }
        if segment.count == Self.capacity {
            segments.append(segment)
        } else {
            tail = segment.records
            tailChanged = segment.changed
        }
    }
}
