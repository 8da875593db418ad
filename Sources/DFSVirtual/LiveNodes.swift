import DFSModel
import Glibc
import Synchronization

/// A directory that a live run writes to: names below a real directory.
struct LiveLocation: Sendable {
    var root: String
    var components: [[UInt8]]
    /// How many of the components lead to the top of the tree.
    private let depth: Int

    /// The top of a tree at an absolute path. No link is followed below `base`; without one, none but the path itself.
    init(_ path: String, below base: String?) {
        if let base, path.hasPrefix(base + "/") {
            root = base
            components = path.utf8.dropFirst(base.utf8.count).split(separator: UInt8(ascii: "/")).map { Array($0) }
        } else {
            root = path
            components = []
        }
        depth = components.count
    }

    var isTop: Bool { components.count == depth }

    func appending(_ name: [UInt8]) -> LiveLocation {
        var location = self
        location.components.append(name)
        return location
    }
}

/// Ids of files and symlinks in live runs' directories, kept as long as the kernel holds them.
final class LiveNodes: Sendable {
    /// The real inode is part of it: another file that takes over the name gets another id.
    struct Key: Hashable, Sendable {
        var directory: UInt32
        var name: [UInt8]
        var inode: UInt64
    }

    private struct State: Sendable {
        var items: [Key: UInt32] = [:]
        var keys: [UInt32: (key: Key, lookups: UInt64)] = [:]
        var last: UInt32 = NodeID.firstLive
        var slots: LiveSlots?
    }

    private let state = Mutex(State())

    /// With a journal, what a predecessor knew is known again.
    init(journal: IdentityJournal? = nil) {
        guard let journal else { return }
        var restored = State()
        var slots = LiveSlots(journal.liveFiles)
        slots.restore { item, key, lookups in
            restored.items[key] = item
            restored.keys[item] = (key, lookups)
            restored.last = max(restored.last, item)
        }
        restored.slots = slots
        let start = restored
        state.withLock { $0 = start }
    }

    var count: Int { state.withLock { $0.keys.count } }

    /// The id, whose lookups are one more now.
    func retain(_ key: Key) -> NodeID {
        let item: UInt32 = state.withLock { state in
            if let item = state.items[key], let known = state.keys[item] {
                state.keys[item] = (key, known.lookups &+ 1)
                state.slots?.set(item, key, lookups: known.lookups &+ 1)
                return item
            }
            repeat {
                state.last = state.last == .max ? NodeID.firstLive : state.last + 1
            } while state.keys[state.last] != nil
            state.items[key] = state.last
            state.keys[state.last] = (key, 1)
            state.slots?.set(state.last, key, lookups: 1)
            return state.last
        }
        return NodeID(directory: key.directory, item: item)
    }

    func key(of id: NodeID) -> Key? {
        state.withLock { state in
            guard let known = state.keys[id.item], known.key.directory == id.directory else { return nil }
            return known.key
        }
    }

    func forget(_ id: NodeID, lookups: UInt64) {
        state.withLock { state in
            guard let known = state.keys[id.item], known.key.directory == id.directory else { return }
            if known.lookups > lookups {
                state.keys[id.item] = (known.key, known.lookups - lookups)
                state.slots?.set(id.item, known.key, lookups: known.lookups - lookups)
            } else {
                state.keys[id.item] = nil
                state.items[known.key] = nil
                state.slots?.remove(id.item)
            }
        }
    }
}
