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
    private static let form: UInt32 = 3

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
        return writer.bytes
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
        var hasHead = false
        for row in rows {
            if row.key == Self.headKey {
                try read(head: row.value)
                hasHead = true
            } else {
                try read(segment: row)
            }
        }
        guard hasHead else { throw SnapshotReader.problem("it has no head") }
    }

    private mutating func read(head row: [UInt8]) throws(DFSError) {
        var reader = SnapshotReader(row)
        let head = try Self.head(&reader)
        var state = LedgerState(store: StoreID(try reader.value { UUIDv7($0) }), storeFileDigest: .zero)
        state.head = head
        for key in try reader.list(KeyRecord.self) { state.keys[key.publicKey.id] = key }
        for _ in 0..<(try reader.count()) {
            let kind = try reader.text()
            state.unknownKinds[kind] = try reader.number()
        }
        guard reader.isAtEnd else { throw SnapshotReader.problem("bytes follow its end") }
        self = state
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
        }
    }
}

/// Which list a row is of. In the order of the bytes, versions come before the tags of the same dataset.
private enum ListKey {
    case versions(String)
    case tag(String, String)
    case snapshots(String)
    case runs, packSets, rejected

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
        default: return nil
        }
    }
}
