import DFSModel

/// One key and its value of a host's cache of the state.
package struct StateRow: Sendable, Hashable {
    package let key: [UInt8]
    package let value: [UInt8]

    package init(key: [UInt8], value: [UInt8]) {
        self.key = key
        self.value = value
    }
}

/// The state as rows for a host's own cache: derived, never shared, read only by the version that wrote it.
///
/// One small row is the head, the others are segments of lists. What a segment holds follows from the ledger up to the
/// entry that changed it last, so whoever has the rows of an earlier state of the same ledger needs only those changed since.
extension LedgerState {
    /// Changes whenever a record or the head is written in another way.
    private static let form: UInt32 = 4

    package static let headKey = Array("head".utf8)

    /// The rows that entries after `sequence` changed, and the head, in the order of their keys. 0: all rows.
    package func rows(changedAfter sequence: UInt64 = 0) -> [StateRow] {
        var rows = [StateRow(key: Self.headKey, value: headRow)]
        func add<Record>(_ list: RecordList<Record>, _ key: ListKey) {
            for (segment, row) in list.rows(changedAfter: sequence) {
                rows.append(StateRow(key: key.bytes(segment: segment), value: row))
            }
        }
        for (name, dataset) in datasets {
            add(dataset.versions, .versions(name))
            for (tag, history) in dataset.tagHistory { add(history, .tag(name, tag)) }
        }
        for (name, project) in projects { add(project.snapshots, .snapshots(name)) }
        func add<Record: SnapshotCodable & Marked>(_ record: Record, _ key: ListKey, _ number: Int) {
            guard record.sequence > sequence else { return }
            var writer = SnapshotWriter()
            record.write(to: &writer)
            rows.append(StateRow(key: key.bytes(segment: number), value: writer.bytes))
        }
        for (name, dataset) in datasets {
            for (number, removal) in dataset.removals { add(removal, .removal(name), number) }
        }
        for (number, condemnation) in condemnations.all.enumerated() { add(condemnation, .condemnation, number) }
        for (number, deletion) in condemnations.deletions.enumerated() { add(deletion, .deletion, number) }
        add(runs, .runs)
        add(packSets, .packSets)
        add(rejected, .rejected)
        return rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }

    private var headRow: [UInt8] {
        var writer = SnapshotWriter()
        writer.integer(Self.form)
        writer.integer(head.sequence)
        writer.digest(head.digest)
        writer.flag(head.time != nil)
        if let time = head.time { writer.time(time) }
        writer.text(store.description)
        writer.list(keys.values.sorted { $0.publicKey.id < $1.publicKey.id })
        writer.integer(UInt32(unknownKinds.count))
        for (kind, count) in unknownKinds.sorted(by: { $0.key < $1.key }) {
            writer.text(kind)
            writer.integer(UInt64(count))
        }
        for count in singleRows { writer.integer(UInt64(count)) }
        return writer.bytes
    }

    /// How many records have rows of their own: that one of them is missing would not show otherwise.
    private var singleRows: [Int] {
        [
            datasets.values.reduce(0) { $0 + $1.removals.count }, condemnations.all.count,
            condemnations.deletions.count,
        ]
    }

    /// The head that a head row is of; `nil` for one of another form.
    package static func head(ofRow row: [UInt8]) -> Head? {
        var reader = SnapshotReader(row)
        return try? head(&reader)
    }

    private static func head(_ reader: inout SnapshotReader) throws(DFSError) -> Head {
        guard try reader.integer(UInt32.self) == form else {
            throw SnapshotReader.problem("it was written by another version")
        }
        return Head(
            sequence: try reader.integer(UInt64.self), digest: try reader.digest(),
            time: try reader.flag() ? try reader.time() : nil)
    }

    /// Reads all rows of a state, in the order of their keys. Throws `.corrupt` when something is missing or malformed:
    /// fold from entry 1 then. Records are not looked at, but for those at the ends of lists.
    package init(rows: some Sequence<StateRow>) throws(DFSError) {
        self.init(store: StoreID(UUIDv7(milliseconds: 0, random: [])), storeFileDigest: .zero)
        var expected: [Int]?
        for row in rows {
            if row.key == Self.headKey {
                expected = try read(head: row.value)
            } else {
                try read(segment: row)
            }
        }
        guard let expected else { throw SnapshotReader.problem("it has no head") }
        guard expected == singleRows else { throw SnapshotReader.problem("a removal or condemnation is missing") }
    }

    /// Returns how many records should have rows of their own.
    private mutating func read(head row: [UInt8]) throws(DFSError) -> [Int] {
        var reader = SnapshotReader(row)
        let head = try Self.head(&reader)
        var state = LedgerState(store: StoreID(try reader.value { UUIDv7($0) }), storeFileDigest: .zero)
        state.head = head
        for key in try reader.list(KeyRecord.self) { state.keys[key.publicKey.id] = key }
        for _ in 0..<(try reader.count()) {
            let kind = try reader.text()
            state.unknownKinds[kind] = try reader.number()
        }
        let expected = [try reader.number(), try reader.number(), try reader.number()]
        guard reader.isAtEnd else { throw SnapshotReader.problem("bytes follow its end") }
        self = state
        return expected
    }

    private mutating func read(segment row: StateRow) throws(DFSError) {
        guard let (key, segment) = ListKey.parse(row.key) else { throw SnapshotReader.problem("a key is malformed") }
        switch key {
        case .versions(let name):
            if datasets[name] == nil { datasetFamilies[DatasetName.conflictKey(name), default: []].insert(name) }
            try datasets[name, default: DatasetState(name: name)].versions.append(row: row.value, number: segment)
        case .tag(let name, let tag):
            guard datasets[name] != nil else { throw SnapshotReader.problem("a tag is of no dataset") }
            try datasets[name]?.tagHistory[tag, default: RecordList()].append(row: row.value, number: segment)
        case .snapshots(let name):
            try projects[name, default: ProjectState(name: name)].snapshots.append(row: row.value, number: segment)
        case .runs: try runs.append(row: row.value, number: segment)
        case .packSets: try packSets.append(row: row.value, number: segment)
        case .rejected: try rejected.append(row: row.value, number: segment)
        case .removal(let name):
            guard datasets[name]?.version(segment) != nil else {
                throw SnapshotReader.problem("a removal is of no version")
            }
            let removal: VersionRemoval = try record(row.value)
            datasets[name]?.removals[segment] = removal
        case .condemnation:
            guard segment == condemnations.all.count else { throw SnapshotReader.problem("a condemnation is missing") }
            condemnations.append(try record(row.value) as Condemnation)
        case .deletion:
            guard segment == condemnations.deletions.count else {
                throw SnapshotReader.problem("a deletion is missing")
            }
            condemnations.append(try record(row.value) as Deletion)
        }
    }

    /// A record that has a row of its own.
    private func record<Record: SnapshotCodable>(_ row: [UInt8]) throws(DFSError) -> Record {
        var reader = SnapshotReader(row)
        let record = try Record(from: &reader)
        guard reader.isAtEnd else { throw SnapshotReader.problem("bytes follow its end") }
        return record
    }
}

/// Which list a row is of. In the order of the bytes, versions come before the tags of the same dataset.
private enum ListKey {
    case versions(String)
    case tag(String, String)
    case snapshots(String)
    case runs, packSets, rejected
    /// Of these each row is one record.
    case removal(String), condemnation, deletion

    /// Letters, in the order in which a reader needs the lists (`d` for versions of a dataset, before `t`), then names
    /// after each of which a NUL stands, then the segment's number, big-endian.
    func bytes(segment: Int) -> [UInt8] {
        let (letter, names): (Character, [String]) =
            switch self {
            case .versions(let name): ("d", [name])
            case .tag(let name, let tag): ("t", [name, tag])
            case .snapshots(let name): ("s", [name])
            case .runs: ("r", [])
            case .packSets: ("p", [])
            case .rejected: ("x", [])
            case .removal(let name): ("v", [name])
            case .condemnation: ("c", [])
            case .deletion: ("e", [])
            }
        var bytes = Array("list \(letter)".utf8)
        for name in names { bytes += Array(name.utf8) + [0] }
        for shift in stride(from: 24, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: segment >> shift)) }
        return bytes
    }

    static func parse(_ key: [UInt8]) -> (ListKey, segment: Int)? {
        let prefix = Array("list ".utf8)
        guard key.starts(with: prefix), key.count >= prefix.count + 5 else { return nil }
        let segment = key.suffix(4).reduce(0) { $0 << 8 | Int($1) }
        let names = key[(prefix.count + 1)...].dropLast(4).split(separator: 0, omittingEmptySubsequences: false)
            .dropLast().map { String(decoding: $0, as: UTF8.self) }
        switch (key[prefix.count], names.count) {
        case (UInt8(ascii: "d"), 1): return (.versions(names[0]), segment)
        case (UInt8(ascii: "t"), 2): return (.tag(names[0], names[1]), segment)
        case (UInt8(ascii: "s"), 1): return (.snapshots(names[0]), segment)
        case (UInt8(ascii: "r"), 0): return (.runs, segment)
        case (UInt8(ascii: "p"), 0): return (.packSets, segment)
        case (UInt8(ascii: "x"), 0): return (.rejected, segment)
        case (UInt8(ascii: "v"), 1): return (.removal(names[0]), segment)
        case (UInt8(ascii: "c"), 0): return (.condemnation, segment)
        case (UInt8(ascii: "e"), 0): return (.deletion, segment)
        default: return nil
        }
    }
}
