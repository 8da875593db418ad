import DFSModel

extension RunInput: SnapshotCodable {
    package func write(to writer: inout SnapshotWriter) {
        writer.text(key)
        writer.text(dataset)
        writer.integer(UInt64(version))
        writer.digest(content.digest)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        key = try reader.text()
        dataset = try reader.text()
        version = try reader.number()
        content = ContentDigest(try reader.digest())
    }
}

extension RunTagChange: SnapshotCodable {
    package func write(to writer: inout SnapshotWriter) {
        writer.text(tag)
        writer.flag(isSet)
        writer.optionalAddress(text)
        mark.write(to: &writer)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        tag = try reader.text()
        isSet = try reader.flag()
        text = try reader.optionalAddress()
        mark = try EntryMark(from: &reader)
    }
}

extension RunEnd: SnapshotCodable {
    package func write(to writer: inout SnapshotWriter) {
        writer.text(outcome.rawValue)
        writer.optional(outputs)
        writer.optional(work)
        writer.optional(logs)
        writer.optional(evidence)
        record.write(to: &writer)
        writer.flag(isFound)
        mark.write(to: &writer)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        outcome = try reader.value { RunOutcome(rawValue: $0) }
        outputs = try reader.optional(TreeReference.self)
        work = try reader.optional(TreeReference.self)
        logs = try reader.optional(TreeReference.self)
        evidence = try reader.optional(TreeReference.self)
        record = try RecordReference(from: &reader)
        isFound = try reader.flag()
        mark = try EntryMark(from: &reader)
    }
}

extension RunAnnotation: SnapshotCodable {
    package func write(to writer: inout SnapshotWriter) {
        writer.text(name)
        writer.optional(tree)
        record.write(to: &writer)
        writer.optionalAddress(text)
        mark.write(to: &writer)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        name = try reader.text()
        tree = try reader.optional(TreeReference.self)
        record = try RecordReference(from: &reader)
        text = try reader.optionalAddress()
        mark = try EntryMark(from: &reader)
    }
}

extension RunRecord: SnapshotCodable {
    package var lookup: UInt64? { LookupTable.value(of: id.description) }

    package func write(to writer: inout SnapshotWriter) {
        writer.text(id.description)
        writer.text(project)
        writer.text(snapshot)
        writer.list(data)
        record.write(to: &writer)
        writer.optionalAddress(text)
        mark.write(to: &writer)
        writer.optional(end)
        writer.optional(supersededEnd)
        writer.list(tagHistory)
        writer.list(annotations)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        id = try reader.value { RunID($0) }
        project = try reader.text()
        snapshot = try reader.text()
        data = try reader.list(RunInput.self)
        record = try RecordReference(from: &reader)
        text = try reader.optionalAddress()
        mark = try EntryMark(from: &reader)
        end = try reader.optional(RunEnd.self)
        supersededEnd = try reader.optional(RunEnd.self)
        tagHistory = try reader.list(RunTagChange.self)
        annotations = try reader.list(RunAnnotation.self)
    }
}
