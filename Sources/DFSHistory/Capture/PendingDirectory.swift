import DFSModel
import DFSStore
import DFSSystem
import Synchronization

/// A directory whose capture has begun. `state` guards what several threads fill in.
final class PendingDirectory: Sendable {
    struct Slot: Sendable {
        let name: [UInt8]
        let status: FileStatus
        /// Filled when the entry is known.
        var entry: TreeEntry?
        /// The file may have changed within the clock's granularity: it must not enter the stat cache.
        var isRacy = false
    }

    struct State: Sendable {
        var slots: [Slot] = []
        var remaining = 0
        var descriptor: OwnedDescriptor?
        /// What the stat cache holds of this directory.
        var row: StatCache.Row?
        var missedCache = false
    }

    let parent: PendingDirectory?
    /// Where this directory's entry goes in the parent.
    let slot: Int
    let name: [UInt8]
    let status: FileStatus
    let state = Mutex<State>(State())
    /// The directory of the previous version at this place, looked up when first needed.
    let previous = Mutex<TreeEntry??>(nil)

    init(parent: PendingDirectory?, slot: Int, name: [UInt8], status: FileStatus) {
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
