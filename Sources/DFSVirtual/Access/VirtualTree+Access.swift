import DFSModel

extension VirtualTree {
    /// What is told of something denied, once it is noted.
    func refuse(_ operation: String, _ directory: NodeID, name: [UInt8] = [], _ caller: Int32) -> DFSError {
        accesses?.refuse(operation, directory, name: name, pid: caller)
        return Denials.refusal()
    }

    /// Throws when the content of a directory is denied.
    package func admit(directory id: NodeID, caller: Int32) throws(DFSError) {
        guard !options.denials.isEmpty, id.item == 0, case .stored(let stored) = try directory(id.directory),
            stored.standing.isDenied
        else { return }
        throw refuse("list", id, caller)
    }

    /// A file is opened by a way of serving in which opens are seen.
    package func noteOpen(_ id: NodeID) {
        guard let accesses, accesses.notesReads, id.item > 0, id.item < NodeID.firstLive,
            case .entry = try? node(id)
        else { return }
        accesses.note(id)
    }
}
