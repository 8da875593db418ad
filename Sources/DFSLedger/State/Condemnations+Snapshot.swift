import DFSModel

extension SnapshotWriter {
    fileprivate mutating func packs(_ packs: [PackID]) {
        integer(UInt32(packs.count))
        for pack in packs { digest(pack.digest) }
    }
}

extension SnapshotReader {
    fileprivate mutating func packs() throws(DFSError) -> [PackID] {
        var packs = [PackID]()
        for _ in 0..<(try count()) { packs.append(PackID(try digest())) }
        return packs
    }
}

extension Condemnation: SnapshotCodable {
    package func write(to writer: inout SnapshotWriter) {
        writer.packs(packs)
        writer.integer(UInt32(replacements.count))
        for (pack, standing) in replacements.sorted(by: { $0.key < $1.key }) {
            writer.digest(pack.digest)
            writer.packs(standing)
        }
        mark.write(to: &writer)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        packs = try reader.packs()
        var replacements = [PackID: [PackID]]()
        for _ in 0..<(try reader.count()) { replacements[PackID(try reader.digest())] = try reader.packs() }
        self.replacements = replacements
        mark = try EntryMark(from: &reader)
    }
}

extension Deletion: SnapshotCodable {
    package func write(to writer: inout SnapshotWriter) {
        writer.integer(condemned)
        writer.packs(packs)
        mark.write(to: &writer)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        condemned = try reader.integer(UInt64.self)
        packs = try reader.packs()
        mark = try EntryMark(from: &reader)
    }
}

extension VersionRemoval: SnapshotCodable {
    package func write(to writer: inout SnapshotWriter) {
        writer.flag(isWhole)
        writer.digest(text.digest)
        mark.write(to: &writer)
    }

    package init(from reader: inout SnapshotReader) throws(DFSError) {
        isWhole = try reader.flag()
        text = try reader.address()
        mark = try EntryMark(from: &reader)
    }
}
