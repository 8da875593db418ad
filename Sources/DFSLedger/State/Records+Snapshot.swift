import DFSModel

extension EntryMark: SnapshotCodable {
    package func write(to writer: inout SnapshotWriter) {
        writer.integer(sequence)
        writer.time(time)
        writer.digest(key.digest)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        sequence = try reader.integer(UInt64.self)
        time = try reader.time()
        key = KeyID(try reader.digest())
    }
}

extension TreeReference: SnapshotCodable {
    package func write(to writer: inout SnapshotWriter) {
        writer.digest(content.digest)
        writer.digest(tree.digest)
        writer.integer(files)
        writer.integer(bytes)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        self.init(
            content: ContentDigest(try reader.digest()), tree: try reader.address(),
            files: try reader.integer(UInt64.self), bytes: try reader.integer(UInt64.self))
    }
}

extension RecordReference: SnapshotCodable {
    package func write(to writer: inout SnapshotWriter) {
        writer.digest(record.digest)
        writer.digest(packs.digest)
        writer.digest(pack.digest)
        writer.integer(heeded)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        record = try reader.address()
        packs = try reader.address()
        pack = PackID(try reader.digest())
        heeded = try reader.integer(UInt64.self)
    }
}

extension KeyRecord: SnapshotCodable {
    package func write(to writer: inout SnapshotWriter) {
        writer.raw(publicKey.raw)
        writer.flag(owner)
        mark.write(to: &writer)
        writer.optional(approved)
        writer.optional(revoked)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        guard let key = PublicKey(raw: Array(try reader.raw(32))) else { throw SnapshotReader.problem("no key") }
        publicKey = key
        owner = try reader.flag()
        mark = try EntryMark(from: &reader)
        approved = try reader.optional(EntryMark.self)
        revoked = try reader.optional(EntryMark.self)
    }
}

extension VersionRecord: SnapshotCodable {
    package func write(to writer: inout SnapshotWriter) {
        writer.integer(UInt64(number))
        tree.write(to: &writer)
        record.write(to: &writer)
        writer.optionalAddress(text)
        mark.write(to: &writer)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        number = try reader.number()
        tree = try TreeReference(from: &reader)
        record = try RecordReference(from: &reader)
        text = try reader.optionalAddress()
        mark = try EntryMark(from: &reader)
    }
}

extension TagChange: SnapshotCodable {
    package func write(to writer: inout SnapshotWriter) {
        writer.integer(UInt64(version ?? 0))
        writer.optionalAddress(text)
        mark.write(to: &writer)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        let number = try reader.number()
        version = number == 0 ? nil : number
        text = try reader.optionalAddress()
        mark = try EntryMark(from: &reader)
    }
}

extension SnapshotRecord: SnapshotCodable {
    package var lookup: UInt64? { LookupTable.value(of: id) }

    package func write(to writer: inout SnapshotWriter) {
        writer.text(id)
        tree.write(to: &writer)
        record.write(to: &writer)
        mark.write(to: &writer)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        id = try reader.text()
        tree = try TreeReference(from: &reader)
        record = try RecordReference(from: &reader)
        mark = try EntryMark(from: &reader)
    }
}

extension PackSetMark: SnapshotCodable {
    package func write(to writer: inout SnapshotWriter) {
        writer.digest(packs.digest)
        writer.digest(pack.digest)
        writer.optionalAddress(text)
        writer.integer(sequence)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        packs = try reader.address()
        pack = PackID(try reader.digest())
        text = try reader.optionalAddress()
        sequence = try reader.integer(UInt64.self)
    }
}

extension RejectedEvent: SnapshotCodable {
    package func write(to writer: inout SnapshotWriter) {
        writer.integer(sequence)
        writer.integer(UInt64(index))
        writer.text(kind)
        writer.text(reason)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        sequence = try reader.integer(UInt64.self)
        index = try reader.number()
        kind = try reader.text()
        reason = try reader.text()
    }
}
