import DFSModel
import Glibc
import Synchronization

/// Numbers for the directories that the kernel has asked about. A directory keeps its number as long as the mount
/// lives; one of a stored tree costs some thirty bytes.
final class DirectoryTable: Sendable {
    enum Origin: Sendable {
        case place(Place)
        /// The directory at a position of another.
        case child(parent: UInt32, ordinal: UInt32)
    }

    private struct State: Sendable {
        /// By number: parent << 32 | ordinal + 1; 0 for places.
        var origins: [UInt64] = [0]
        var children: [UInt64: UInt32] = [:]
        var places: [UInt32: Place] = [:]
        var numbers: [Place: UInt32] = [:]
        /// Directories with `.below` places in them.
        var parentsOfNamed: Set<UInt32> = []
    }

    private let state = Mutex(State())
    private let journal: IdentityJournal?

    init(journal: IdentityJournal? = nil) {
        self.journal = journal
        state.withLock {
            for (number, place) in [(NodeID.rootNumber, Place.root), (NodeID.controlNumber, .control)] {
                $0.origins.append(0)
                $0.places[number] = place
                $0.numbers[place] = number
            }
        }
    }

    /// Takes up the next number of a predecessor: that of a place, or of the directory with this origin.
    func restore(_ origin: UInt64, _ place: Place?) {
        state.withLock { state in
            state.origins.append(origin)
            let number = UInt32(state.origins.count - 1)
            if let place { Self.note(place, number, &state) } else { state.children[origin] = number }
        }
    }

    var count: Int { state.withLock { $0.origins.count - 1 } }

    func origin(of number: UInt32) -> Origin? {
        state.withLock { state in
            guard number > 0, Int(number) < state.origins.count else { return nil }
            if let place = state.places[number] { return .place(place) }
            let packed = state.origins[Int(number)]
            return .child(parent: UInt32(packed >> 32), ordinal: UInt32(truncatingIfNeeded: packed) &- 1)
        }
    }

    func number(of place: Place) throws(DFSError) -> UInt32 {
        try state.withLock { state throws(DFSError) in try number(of: place, &state) }
    }

    /// The number of the directory `name`, at position `ordinal` of `parent`.
    func number(ofChild ordinal: UInt32, named name: [UInt8], in parent: UInt32) throws(DFSError) -> UInt32 {
        try state.withLock { state throws(DFSError) in
            if state.parentsOfNamed.contains(parent), let number = state.numbers[.below(parent, name: name)] {
                return number
            }
            let key = UInt64(parent) << 32 | UInt64(ordinal + 1)
            if let number = state.children[key] { return number }
            let number = try next(.directory(key), key, &state)
            state.children[key] = number
            return number
        }
    }

    /// The numbers of all places for which `condition` holds.
    func numbers(where condition: (Place) -> Bool) -> [UInt32] {
        state.withLock { state in state.places.filter { condition($0.value) }.map(\.key) }
    }

    private func number(of place: Place, _ state: inout State) throws(DFSError) -> UInt32 {
        if let number = state.numbers[place] { return number }
        let number = try next(.place(place), 0, &state)
        Self.note(place, number, &state)
        return number
    }

    private static func note(_ place: Place, _ number: UInt32, _ state: inout State) {
        state.numbers[place] = number
        state.places[number] = place
        if case .below(let parent, _) = place { state.parentsOfNamed.insert(parent) }
    }

    private func next(
        _ record: IdentityJournal.Record, _ origin: UInt64, _ state: inout State
    ) throws(DFSError) -> UInt32 {
        guard state.origins.count < 0x7fff_ffff else {
            throw DFSError(.operational, "too many directories in one mount", errno: ENFILE)
        }
        try journal?.append(record)
        state.origins.append(origin)
        return UInt32(state.origins.count - 1)
    }
}
