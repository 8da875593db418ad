import DFSModel

extension EntryMark: SnapshotCodable {
    func write(to writer: inout SnapshotWriter) {
        writer.integer(sequence)
        writer.time(time)
        writer.digest(key.digest)
    }

    init(from reader: inout SnapshotReader) throws(DFSError) {
        sequence = try reader.integer(UInt64.self)
        time = try reader.time()
        key = KeyID(try reader.digest())
    }
}

extension TreeReference: SnapshotCodable {
    func write(to writer: inout SnapshotWriter) {
        writer.digest(content.digest)
        writer.digest(tree.digest)
        writer.integer(files)
        writer.integer(bytes)
    }

    init(from reader: inout SnapshotReader) throws(DFSError) {
        self.init(
            content: ContentDigest(try reader.digest()), tree: try reader.address(),
            files: try reader.integer(UInt64.self), bytes: try reader.integer(UInt64.self))
    }
}

extension RecordReference: SnapshotCodable {
    func write(to writer: inout SnapshotWriter) {
        writer.digest(record.digest)
        writer.digest(packs.digest)
        writer.digest(pack.digest)
        writer.integer(heeded)
    }

    init(from reader: inout SnapshotReader) throws(DFSError) {
        record = try reader.address()
        packs = try reader.address()
        pack = PackID(try reader.digest())
        heeded = try reader.integer(UInt64.self)
    }
}

extension KeyRecord: SnapshotCodable {
    func write(to writer: inout SnapshotWriter) {
        writer.raw(publicKey.raw)
        writer.flag(owner)
        mark.write(to: &writer)
        writer.optional(approved)
        writer.optional(revoked)
    }

    init(from reader: inout SnapshotReader) throws(DFSError) {
        guard let key = PublicKey(raw: Array(try reader.raw(32))) else { throw SnapshotReader.problem("no key") }
        publicKey = key
        owner = try reader.flag()
        mark = try EntryMark(from: &reader)
        approved = try reader.optional(EntryMark.self)
        revoked = try reader.optional(EntryMark.self)
    }
}

extension VersionRecord: SnapshotCodable {
    func write(to writer: inout SnapshotWriter) {
        writer.integer(UInt64(number))
        tree.write(to: &writer)
        record.write(to: &writer)
        writer.optionalAddress(text)
        mark.write(to: &writer)
    }

    init(from reader: inout SnapshotReader) throws(DFSError) {
        number = try reader.number()
        tree = try TreeReference(from: &reader)
        record = try RecordReference(from: &reader)
        text = try reader.optionalAddress()
        mark = try EntryMark(from: &reader)
    }
}

extension TagChange: SnapshotCodable {
    func write(to writer: inout SnapshotWriter) {
        writer.integer(UInt64(version ?? 0))
        writer.optionalAddress(text)
        mark.write(to: &writer)
    }

    init(from reader: inout SnapshotReader) throws(DFSError) {
        let number = try reader.number()
        version = number == 0 ? nil : number
        text = try reader.optionalAddress()
        mark = try EntryMark(from: &reader)
    }
}

/// A tag and its history, as a snapshot lists them.
private struct NamedHistory: SnapshotCodable {
    let tag: String
    let changes: [TagChange]

    init(tag: String, changes: [TagChange]) { (self.tag, self.changes) = (tag, changes) }

    func write(to writer: inout SnapshotWriter) {
        writer.text(tag)
        writer.list(changes)
    }

    init(from reader: inout SnapshotReader) throws(DFSError) {
        tag = try reader.text()
        changes = try reader.list(TagChange.self)
    }
}

extension DatasetState: SnapshotCodable {
    func write(to writer: inout SnapshotWriter) {
        writer.text(name)
        writer.list(versions)
        writer.list(tagHistory.sorted { $0.key < $1.key }.map { NamedHistory(tag: $0.key, changes: $0.value) })
        writer.list(removals.sorted { $0.key < $1.key }.map { NumberedRemoval(version: $0.key, removal: $0.value) })
    }

    init(from reader: inout SnapshotReader) throws(DFSError) {
        name = try reader.text()
        versions = try reader.list(VersionRecord.self)
        for (index, version) in versions.enumerated() where version.number != index + 1 {
            throw SnapshotReader.problem("versions are not numbered in order")
        }
        for history in try reader.list(NamedHistory.self) {
            guard tagHistory.updateValue(history.changes, forKey: history.tag) == nil else {
                throw SnapshotReader.problem("a tag is listed twice")
            }
        }
        for removal in try reader.list(NumberedRemoval.self) { removals[removal.version] = removal.removal }
    }
}

extension SnapshotRecord: SnapshotCodable {
    func write(to writer: inout SnapshotWriter) {
        writer.text(id)
        tree.write(to: &writer)
        record.write(to: &writer)
        mark.write(to: &writer)
    }

    init(from reader: inout SnapshotReader) throws(DFSError) {
        id = try reader.text()
        tree = try TreeReference(from: &reader)
        record = try RecordReference(from: &reader)
        mark = try EntryMark(from: &reader)
    }
}

extension ProjectState: SnapshotCodable {
    func write(to writer: inout SnapshotWriter) {
        writer.text(name)
        writer.list(snapshots)
    }

    init(from reader: inout SnapshotReader) throws(DFSError) {
        self.init(name: try reader.text())
        for snapshot in try reader.list(SnapshotRecord.self) {
            guard positions[snapshot.id] == nil else { throw SnapshotReader.problem("a snapshot is listed twice") }
            append(snapshot)
        }
    }
}

extension PackSetMark: SnapshotCodable {
    func write(to writer: inout SnapshotWriter) {
        writer.digest(packs.digest)
        writer.digest(pack.digest)
        writer.integer(sequence)
    }

    init(from reader: inout SnapshotReader) throws(DFSError) {
        packs = try reader.address()
        pack = PackID(try reader.digest())
        sequence = try reader.integer(UInt64.self)
    }
}

extension RejectedEvent: SnapshotCodable {
    func write(to writer: inout SnapshotWriter) {
        writer.integer(sequence)
        writer.integer(UInt64(index))
        writer.text(kind)
        writer.text(reason)
    }

    init(from reader: inout SnapshotReader) throws(DFSError) {
        sequence = try reader.integer(UInt64.self)
        index = try reader.number()
        kind = try reader.text()
        reason = try reader.text()
    }
}
