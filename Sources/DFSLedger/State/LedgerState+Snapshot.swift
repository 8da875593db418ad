import DFSChunking
import DFSModel

extension LedgerState {
    private static let magic = Array("DFSSTATE".utf8)
    private static let version: UInt8 = 2

    /// The state as bytes for a host's own cache: derived, never shared, read only by the version that wrote it. Equal
    /// states give equal bytes. The last 32 are the SHA-256 of the rest.
    package func snapshot() -> [UInt8] {
        var writer = SnapshotWriter()
        writer.raw(Self.magic)
        writer.integer(Self.version)
        writer.text(store.description)
        writer.integer(head.sequence)
        writer.digest(head.digest)
        writer.flag(head.time != nil)
        if let time = head.time { writer.time(time) }
        writer.list(keys.values.sorted { $0.publicKey.id < $1.publicKey.id })
        writer.list(datasets.values.sorted { $0.name < $1.name })
        writer.list(projects.values.sorted { $0.name < $1.name })
        writer.list(runs)
        writer.list(packSets)
        writer.list(condemnations.all)
        writer.list(condemnations.deletions)
        writer.list(rejected)
        writer.integer(UInt32(unknownKinds.count))
        for (kind, count) in unknownKinds.sorted(by: { $0.key < $1.key }) {
            writer.text(kind)
            writer.integer(UInt64(count))
        }
        return writer.bytes + Digest.of(writer.bytes).bytes
    }

    /// Reads what `snapshot` wrote. Anything else throws `.corrupt`: fold from entry 1 then.
    package init(snapshot: [UInt8]) throws(DFSError) {
        let body = Array(snapshot.dropLast(Digest.byteCount))
        guard Digest.of(body).bytes == Array(snapshot.suffix(Digest.byteCount)) else {
            throw SnapshotReader.problem("its checksum does not match")
        }
        var reader = SnapshotReader(body)
        guard Array(try reader.raw(Self.magic.count)) == Self.magic, try reader.integer(UInt8.self) == Self.version
        else { throw SnapshotReader.problem("it was written by another version") }
        self.init(store: StoreID(try reader.value { UUIDv7($0) }), storeFileDigest: .zero)
        head = Head(
            sequence: try reader.integer(UInt64.self), digest: try reader.digest(),
            time: try reader.flag() ? try reader.time() : nil)
        for key in try reader.list(KeyRecord.self) { keys[key.publicKey.id] = key }
        for dataset in try reader.list(DatasetState.self) {
            datasets[dataset.name] = dataset
            datasetFamilies[DatasetName.conflictKey(dataset.name), default: []].insert(dataset.name)
        }
        for project in try reader.list(ProjectState.self) { projects[project.name] = project }
        runs = try reader.list(RunRecord.self)
        for (position, run) in runs.enumerated() { runPositions[run.id] = position }
        packSets = try reader.list(PackSetMark.self)
        for condemnation in try reader.list(Condemnation.self) { condemnations.append(condemnation) }
        for deletion in try reader.list(Deletion.self) { condemnations.append(deletion) }
        rejected = try reader.list(RejectedEvent.self)
        for _ in 0..<(try reader.count()) {
            let kind = try reader.text()
            unknownKinds[kind] = try reader.number()
        }
        guard reader.isAtEnd else { throw SnapshotReader.problem("bytes follow its end") }
    }
}
