import DFSModel
import Glibc
import Synchronization

/// Ids for the symlinks that the tree makes up. An id stands for one target for ever, so the kernel may keep the
/// target; a name that moves on gets another id.
final class LinkTable: Sendable {
    struct Link: Hashable, Sendable {
        var directory: UInt32
        /// Empty for names that are only looked up: all of them that lead to one target share an id, so that asking for
        /// a million times costs nothing.
        var name: [UInt8]
        var target: [UInt8]
        var modified: Timestamp
    }

    private struct State: Sendable {
        var links: [Link] = []
        var slots: [Link: UInt32] = [:]
    }

    private let state = Mutex(State())
    private let journal: IdentityJournal?

    init(journal: IdentityJournal? = nil) { self.journal = journal }

    /// Takes up the next id of a predecessor.
    func restore(_ link: Link) { state.withLock { Self.add(link, &$0) } }

    private static func add(_ link: Link, _ state: inout State) {
        state.slots[link] = UInt32(state.links.count)
        state.links.append(link)
    }

    func id(of link: Link) throws(DFSError) -> NodeID {
        let slot: UInt32 = try state.withLock { state throws(DFSError) in
            if let slot = state.slots[link] { return slot }
            guard state.links.count < Int(NodeID.firstLink) else {
                throw DFSError(.operational, "too many symlinks in one mount", errno: ENFILE)
            }
            let slot = UInt32(state.links.count)
            try journal?.append(.link(link))
            Self.add(link, &state)
            return slot
        }
        return NodeID(directory: link.directory, item: NodeID.firstLink + slot)
    }

    func link(_ id: NodeID) -> Link? {
        guard id.item >= NodeID.firstLink, id.item < NodeID.firstLive else { return nil }
        let slot = Int(id.item - NodeID.firstLink)
        return state.withLock { state in
            guard slot < state.links.count, state.links[slot].directory == id.directory else { return nil }
            return state.links[slot]
        }
    }
}
