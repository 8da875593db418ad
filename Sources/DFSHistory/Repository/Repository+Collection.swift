import DFSLedger
import DFSModel
import DFSStore

/// Where all of an event's content lies: its pack set, and the pack written with it, which the set does not name.
package struct EventPacks: Sendable, Hashable {
    package let set: ObjectAddress
    package let pack: PackID

    package init(set: ObjectAddress, pack: PackID) {
        self.set = set
        self.pack = pack
    }

    package init(_ record: RecordReference) { self.init(set: record.packs, pack: record.pack) }
}

/// What an entry relies on in packs.
package struct Reliance: Sendable {
    /// Packs that its writer wrote or found content in.
    package let packs: Set<PackID>
    /// Events of which content was taken without looking it up: what rows of a stat cache rested on, and the version before,
    /// whose entries are adopted.
    package let events: [EventPacks]
    /// The newest condemnation that was known when the writer began.
    package let heeded: UInt64

    /// `began` is the state that was read before the writer was made.
    package init(_ finished: StoreWriter.Finished, events: [EventPacks] = [], began: LedgerState) {
        packs = finished.rests
        self.events = events
        heeded = began.condemnations.newest
    }
}

/// What came of recording something.
package enum Recording: Sendable {
    case entry(LedgerEntry)
    /// There was nothing to say, as others had said it.
    case nothing
    /// Packs that the entry would have relied on were condemned meanwhile: what it records must be stored again.
    case condemned(Set<PackID>)
}

extension Repository {
    /// Appends events that record content. `events` is as with `append`.
    ///
    /// Whoever condemns packs says so in the ledger, and this looks at the very state that the entry will follow: an entry
    /// that stands relies on no pack that an entry before it condemned.
    package func record(
        by signer: any Signer, relyingOn reliance: Reliance,
        _ events: (LedgerState) throws(DFSError) -> [LedgerEvent]?
    ) throws(DFSError) -> Recording {
        var condemned = Set<PackID>()
        let entry = try append(by: signer) { state throws(DFSError) in
            let events = try events(state)
            condemned = events == nil ? [] : try self.condemned(of: reliance, in: state)
            guard condemned.isEmpty else { return nil }
            return events?.map { $0.heeding(state.condemnations.newest) }
        }
        if let entry { return .entry(entry) }
        return condemned.isEmpty ? .nothing : .condemned(condemned)
    }

    private func condemned(of reliance: Reliance, in state: LedgerState) throws(DFSError) -> Set<PackID> {
        var condemned = state.condemnations.condemned(of: reliance.packs)
        guard state.condemnations.newest > reliance.heeded else { return condemned }
        for event in Set(reliance.events) {
            condemned.formUnion(try self.condemned(of: event, after: reliance.heeded, in: state))
        }
        return condemned
    }

    /// The packs of an event that entries after `sequence` condemned.
    func condemned(of event: EventPacks, after sequence: UInt64, in state: LedgerState) throws(DFSError) -> Set<PackID>
    {
        state.condemnations.condemned(of: try packs(in: event.set).union([event.pack]), after: sequence)
    }

    /// How often something is stored again because what it relied on was condemned meanwhile.
    private static let attempts = 8

    /// Does `body`, again for as long as it returns `nil`: packs that it relied on were condemned meanwhile. So it is when it
    /// finds something missing that was deleted while it went on.
    package func storingAgain<Result>(
        _ what: String, _ body: (LedgerState) throws(DFSError) -> Result?
    ) throws(DFSError) -> Result {
        for _ in 0..<Self.attempts {
            let state = try state()
            do throws(DFSError) {
                if let result = try body(state) { return result }
            } catch {
                guard error.code == .corrupt,
                    try self.state().condemnations.newest > state.condemnations.newest
                else { throw error }
            }
        }
        throw DFSError(
            .operational, "\(what) could not be recorded",
            cause:
                "what it relied on was collected \(Self.attempts) times while it was stored; something collects with no "
                + "grace again and again", hint: "dfs audit log")
    }
}
