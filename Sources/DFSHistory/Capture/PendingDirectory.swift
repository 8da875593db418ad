import DFSModel
import DFSStore
import DFSSystem
import Synchronization

/// A directory whose capture has begun. `state` guards what several threads fill in.
///
/// A long directory is looked at in parts, cut by names alone, which are examined, cached and stored apart.
final class PendingDirectory: Sendable {
    /// What the stat cache needs to know of an entry besides.
    struct Extra: Sendable {
        let changed: Timestamp
        let inode: UInt64
        /// The file may have changed within the clock's granularity: it must not enter the stat cache.
        var isRacy = false
        /// It could not be read and is not part of the tree.
        var isLeftOut = false
    }

    /// Neighbouring entries. Those of files that were not read and of directories that were not finished lack their content.
    struct Part: Sendable {
        var entries: [TreeEntry] = []
        var extras: [Extra] = []
        /// Whether the stat cache holds something else than what was found.
        var missedCache = false

        /// Without what was left out, which is rare.
        var kept: Part {
            guard extras.contains(where: \.isLeftOut) else { return self }
            var part = Part()
            for (entry, extra) in zip(entries, extras) where !extra.isLeftOut {
                part.entries.append(entry)
                part.extras.append(extra)
            }
            part.missedCache = true
            return part
        }
    }

    /// Where an entry goes.
    struct Slot: Sendable {
        let part: Int
        let index: Int
    }

    struct State: Sendable {
        var parts: [Part] = []
        /// Names that precede each part; empty before the first.
        var boundaries: [[UInt8]] = []
        /// Parts to be examined, files to be read and directories to be finished.
        var remaining = 0
        var descriptor: OwnedDescriptor?
        /// What the stat cache holds of this directory.
        var row: StatCache.Row?
    }

    let parent: PendingDirectory?
    /// Where this directory's entry goes in the parent.
    let slot: Slot
    let name: [UInt8]
    let status: FileStatus
    let state = Mutex<State>(State())
    /// The directory of the previous version at this place, looked up when first needed.
    let previous = Mutex<TreeEntry??>(nil)

    init(parent: PendingDirectory?, slot: Slot, name: [UInt8], status: FileStatus) {
        self.parent = parent
        self.slot = slot
        self.name = name
        self.status = status
    }

    /// The path below the root, slash-joined.
    var path: [UInt8] {
        guard let parent else { return [] }
        let above = parent.path
        return above.isEmpty ? name : above + [0x2f] + name
    }

    func path(of name: [UInt8]) -> [UInt8] {
        let here = path
        return here.isEmpty ? name : here + [0x2f] + name
    }
}

/// How the names of a long directory are cut into parts.
enum DirectoryParts {
    /// Directories of up to this many names are one part.
    static let whole = 8192

    /// Parts end where leaves of the tree end too: the cut is a rarer case of the same hash (`TreeBuilder`).
    static func ranges(_ names: [[UInt8]]) -> [Range<Int>] {
        guard names.count > whole else { return [0..<names.count] }
        var ranges = [Range<Int>](), start = 0
        for i in names.indices where NameHash.of(names[i]) & 4095 == 4095 {
            ranges.append(start..<i + 1)
            start = i + 1
        }
        if start < names.count { ranges.append(start..<names.count) }
        return ranges
    }
}
