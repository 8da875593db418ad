import DFSModel
import DFSSystem
import Glibc
import Synchronization

/// What a server leaves to the one that takes its place: what its ids stand for, in two files in memory that a third
/// process holds. Each id is written here before it is given out, so the successor knows every id that the kernel does.
///
/// A record is its kind, the length of the rest (two bytes, as all numbers in the byte order of the machine) and the rest.
/// One that is cut short was of an id that nobody has seen.
package final class IdentityJournal: Sendable {
    /// Other things that a successor should know; their bytes are their writer's business.
    package enum Note: UInt8, Sendable {
        /// The lease on the history that is shown.
        case lease = 1
        /// How files are served: a successor does as its predecessor did.
        case serving = 2
    }

    enum Record {
        case started(Timestamp)
        /// A directory in another one: its packed origin. The first has the number after those that every table has.
        case directory(UInt64)
        case place(Place)
        case link(LinkTable.Link)
        case note(Note, [UInt8])
    }

    private struct State: Sendable {
        var end: Int64 = 0
        /// What a predecessor has written; taken once.
        var inherited: [UInt8]
        var notes: [(Note, [UInt8])] = []
    }

    private let file: OwnedDescriptor
    private let state: Mutex<State>
    /// Where `LiveNodes` keeps its ids.
    let liveFiles: OwnedDescriptor

    /// `records` and `liveFiles` may be new or what a predecessor has written to.
    package init(records: OwnedDescriptor, liveFiles: OwnedDescriptor) throws(DFSError) {
        file = records
        self.liveFiles = liveFiles
        let inherited = try Self.content(of: records)
        var notes = [(Note, [UInt8])]()
        let end = Self.forEach(in: inherited) {
            if case .note(let note, let bytes) = $0 { notes.append((note, bytes)) }
        }
        // The rest of what was cut short would follow a shorter record.
        ftruncate(records.raw, off_t(end))
        state = Mutex(State(end: Int64(end), inherited: inherited, notes: notes))
    }

    /// Calls `body` with the records, up to one that is cut short; returns where that begins.
    @discardableResult
    private static func forEach(in bytes: [UInt8], _ body: (Record) -> Void) -> Int {
        bytes.withUnsafeBytes { bytes in
            var at = 0
            while let (record, length) = decode(UnsafeRawBufferPointer(rebasing: bytes[at...])) {
                body(record)
                at += length
            }
            return at
        }
    }

    static func content(of file: OwnedDescriptor) throws(DFSError) -> [UInt8] {
        let size = try System.call("cannot measure a file in memory") { lseek(file.raw, 0, SEEK_END) }
        var bytes = [UInt8](repeating: 0, count: size)
        var done = 0
        while done < size {
            let count = try System.call("cannot read a file in memory") {
                bytes.withUnsafeMutableBytes {
                    pread(file.raw, $0.baseAddress.map { $0 + done }, size - done, off_t(done))
                }
            }
            guard count > 0 else { break }
            done += count
        }
        return Array(bytes[..<done])
    }

    /// The last note of this kind that was ever written.
    package func last(_ note: Note) -> [UInt8]? { state.withLock { $0.notes.last { $0.0 == note }?.1 } }

    package func append(_ note: Note, _ bytes: [UInt8]) throws(DFSError) {
        try append(.note(note, bytes))
        state.withLock { $0.notes.append((note, bytes)) }
    }

    /// Before what it tells of is given out. Its lock is taken within those of the tables.
    func append(_ record: Record) throws(DFSError) {
        let bytes = Self.encode(record)
        try state.withLock { state throws(DFSError) in
            let end = state.end
            let written = try System.call("cannot note an id", fault: "write") {
                bytes.withUnsafeBytes { pwrite(file.raw, $0.baseAddress, $0.count, off_t(end)) }
            }
            guard written == bytes.count else {
                ftruncate(file.raw, off_t(end))
                throw System.error(ENOSPC, "cannot note an id")
            }
            state.end += Int64(written)
        }
    }

    /// Calls `body` with what a predecessor has written, in order; once.
    func restore(_ body: (Record) -> Void) {
        let bytes = state.withLock { state in
            defer { state.inherited = [] }
            #if DEBUG || DFS_DEFECTS
                if Defect.forgetIds.isPlanted { return [UInt8]() }
            #endif
            return state.inherited
        }
        Self.forEach(in: bytes) { record in
            if case .note = record { return }
            body(record)
        }
    }

    // MARK: Records

    private enum Kind: UInt8 { case started = 1, directory, place, link, note }

    private static func encode(_ record: Record) -> [UInt8] {
        var out = PlainWriter()
        let kind: Kind
        switch record {
        case .started(let time):
            kind = .started
            out.put(time)
        case .directory(let origin):
            kind = .directory
            out.put(origin)
        case .place(let place):
            kind = .place
            let parts = place.parts
            out.put(parts.tag)
            out.put(parts.number)
            for text in parts.texts { out.put(text: text) }
        case .link(let link):
            kind = .link
            out.put(link.directory)
            out.put(link.modified)
            out.put(text: link.name)
            out.put(text: link.target)
        case .note(let note, let bytes):
            kind = .note
            out.put(note.rawValue)
            out.put(text: bytes)
        }
        var head = PlainWriter()
        head.put(kind.rawValue)
        head.put(UInt16(clamping: out.bytes.count))
        return head.bytes + out.bytes
    }

    /// The record at the start of `bytes` and its length; `nil` at the end, or where it is cut short.
    private static func decode(_ bytes: UnsafeRawBufferPointer) -> (Record, Int)? {
        var head = PlainReader(bytes)
        guard let kind = head.number(UInt8.self).flatMap(Kind.init(rawValue:)), let length = head.number(UInt16.self),
            bytes.count >= 3 + Int(length),
            let record = decode(kind, UnsafeRawBufferPointer(rebasing: bytes[3..<3 + Int(length)]))
        else { return nil }
        return (record, 3 + Int(length))
    }

    private static func decode(_ kind: Kind, _ bytes: UnsafeRawBufferPointer) -> Record? {
        var input = PlainReader(bytes)
        switch kind {
        case .started: return input.time().map { .started($0) }
        case .directory: return input.number(UInt64.self).map { .directory($0) }
        case .place:
            guard let tag = input.number(UInt8.self), let number = input.number(UInt64.self) else { return nil }
            var texts = [[UInt8]]()
            while let text = input.text() { texts.append(text) }
            return Place(tag: tag, number: number, texts: texts).map { .place($0) }
        case .link:
            guard let directory = input.number(UInt32.self), let time = input.time(), let name = input.text(),
                let target = input.text()
            else { return nil }
            return .link(LinkTable.Link(directory: directory, name: name, target: target, modified: time))
        case .note:
            guard let note = input.number(UInt8.self).flatMap(Note.init(rawValue:)), let text = input.text() else {
                return nil
            }
            return .note(note, text)
        }
    }
}

/// Numbers as they lie in memory, and bytes with their length before them.
private struct PlainWriter {
    private(set) var bytes = [UInt8]()

    mutating func put(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value) { bytes += $0 } }

    mutating func put(_ time: Timestamp) {
        put(time.seconds)
        put(time.nanoseconds)
    }

    mutating func put(text: [UInt8]) {
        put(UInt16(clamping: text.count))
        bytes += text.prefix(Int(UInt16.max))
    }
}

/// Reads what `PlainWriter` wrote; `nil` where it is cut short.
private struct PlainReader {
    private let bytes: UnsafeRawBufferPointer
    private var at = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func number<T: FixedWidthInteger>(_ type: T.Type) -> T? {
        guard at + MemoryLayout<T>.size <= bytes.count else { return nil }
        defer { at += MemoryLayout<T>.size }
        return bytes.loadUnaligned(fromByteOffset: at, as: T.self)
    }

    mutating func time() -> Timestamp? {
        guard let seconds = number(Int64.self), let nanoseconds = number(UInt32.self) else { return nil }
        return Timestamp(seconds: seconds, nanoseconds: nanoseconds)
    }

    mutating func text() -> [UInt8]? {
        guard let length = number(UInt16.self), at + Int(length) <= bytes.count else { return nil }
        defer { at += Int(length) }
        return Array(bytes[at..<at + Int(length)])
    }
}
