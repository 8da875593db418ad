import DFSModel
import DFSStore
import DFSSystem

/// Decides what of a directory tree belongs to it.
package protocol CaptureFilter: Sendable {
    /// `path` is relative to the root, slash-joined. Called from several threads.
    func includes(_ path: [UInt8], isDirectory: Bool) -> Bool
}

/// Looks at files before their content is stored.
package protocol CaptureInspector: Sendable {
    /// Whether the open file at `path`, which is relative to the root and slash-joined, may be stored. Only files that are read are
    /// asked about, not those that are what the stat cache knows. Called from several threads; leaves the position of the
    /// descriptor as it was.
    func admits(_ path: [UInt8], _ file: OwnedDescriptor, size: UInt64) throws(DFSError) -> Bool

    /// Called when all files were looked at: throws when one was not admitted. Nothing that was captured may be recorded then.
    func conclude() throws(DFSError)
}

/// How a directory tree is taken in.
package struct CaptureOptions: Sendable {
    package var threads: Int
    package var filter: (any CaptureFilter)?
    /// Leave out fifos, sockets and devices (and list them) rather than refuse.
    package var skipSpecial: Bool
    /// Files above this are left out and listed; `nil` for no limit.
    package var maximumFileSize: UInt64?
    /// Leave out what cannot be read or changes while it is read (and list it) rather than fail.
    package var leavesOutUnread = false
    package var inspector: (any CaptureInspector)?
    package var progress: CaptureProgress

    package init(
        threads: Int = Workers.processorCount, filter: (any CaptureFilter)? = nil, skipSpecial: Bool = false,
        maximumFileSize: UInt64? = nil, inspector: (any CaptureInspector)? = nil,
        progress: CaptureProgress = CaptureProgress()
    ) {
        self.threads = max(1, threads)
        self.filter = filter
        self.skipSpecial = skipSpecial
        self.maximumFileSize = maximumFileSize
        self.inspector = inspector
        self.progress = progress
    }
}

/// Counters that a progress display reads while a capture runs.
package final class CaptureProgress: Sendable {
    package let files: Counter
    package let bytes = Counter()
    /// Files that were opened and read.
    package let filesRead = Counter()
    package let bytesRead: Counter

    /// Counts files found and bytes read into counters that a display already looks at.
    package init(files: Counter = Counter(), bytesRead: Counter = Counter()) {
        self.files = files
        self.bytesRead = bytesRead
    }
}

/// What a capture found.
package struct CaptureResult: Sendable {
    package var root: TreeEntry
    package var summary: TreeReference
    package var notes: CaptureNotes
    /// Rows for the stat cache, to be written once the ledger reaches this content.
    package var updates: [StatCache.Update]
}

/// What was left out or not kept, so that the record can say so.
package struct CaptureNotes: Sendable {
    /// Fifos, sockets and devices.
    package var special: [[UInt8]] = []
    package var ignored: [[UInt8]] = []
    package var tooLarge: [(path: [UInt8], size: UInt64)] = []
    /// What could not be read, or changed while it was read.
    package var unread: [(path: [UInt8], reason: String)] = []
    /// Properties that a tree does not keep: how many files had them.
    package var hardLinks = 0
    package var specialBits = 0
    package var foreignOwners = 0
    package var sparse = 0
    package var extendedAttributes = 0

    package init() {}

    mutating func merge(_ other: CaptureNotes) {
        special += other.special
        ignored += other.ignored
        tooLarge += other.tooLarge
        unread += other.unread
        hardLinks += other.hardLinks
        specialBits += other.specialBits
        foreignOwners += other.foreignOwners
        sparse += other.sparse
        extendedAttributes += other.extendedAttributes
    }

    /// For records. At most 1,000 paths of each kind are listed; the counts are whole.
    package var json: JSONValue {
        func list(_ paths: [[UInt8]]) -> JSONValue {
            let sorted = paths.sorted(by: ByteOrder.precedes)
            return [
                "count": .integer(Int64(sorted.count)),
                "paths": .array(sorted.prefix(1000).map { .string(NameText.encode($0)) }),
            ]
        }
        let large = tooLarge.sorted { ByteOrder.precedes($0.path, $1.path) }.prefix(1000).map { item -> JSONValue in
            ["path": .string(NameText.encode(item.path)), "size": .integer(Int64(item.size))]
        }
        var out: [String: JSONValue] = [
            "special": list(special), "ignored": list(ignored),
            "too-large": ["count": .integer(Int64(tooLarge.count)), "files": .array(Array(large))],
            "dropped": [
                "hard-links": .integer(Int64(hardLinks)), "setuid-setgid-sticky": .integer(Int64(specialBits)),
                "owners": .integer(Int64(foreignOwners)), "holes": .integer(Int64(sparse)),
                "extended-attributes": .integer(Int64(extendedAttributes)),
            ],
        ]
        if !unread.isEmpty {
            let files = unread.sorted { ByteOrder.precedes($0.path, $1.path) }.prefix(1000).map { item -> JSONValue in
                ["path": .string(NameText.encode(item.path)), "reason": .string(item.reason)]
            }
            out["unread"] = ["count": .integer(Int64(unread.count)), "files": .array(Array(files))]
        }
        return .object(out)
    }
}
