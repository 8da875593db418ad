import DFSLedger
import DFSModel
import DFSStore

/// What a collection would do to a store, or has done.
package struct CollectionPlan: Sendable {
    package struct Dead: Sendable {
        package let pack: PackID
        package let bytes: UInt64
        /// Removed versions that it was written for; empty when no entry names it.
        package var owners: [String] = []
        package var isNamed = true
    }

    package struct Compacted: Sendable {
        package let pack: PackID
        package let bytes: UInt64
        /// Bytes of it that are still needed.
        package let live: UInt64
        /// Bytes that they have when they are rewritten, with what aligns them.
        package let rewritten: UInt64
    }

    package struct Waiting: Sendable {
        package let pack: PackID
        package let bytes: UInt64
        /// The entry that condemned it.
        package let condemned: UInt64
        /// When its grace is over, by the store's clock.
        package let until: Timestamp
        /// Who shows what lies in it.
        package var heldBy: [String] = []
    }

    /// The entry up to which the ledger was read.
    package var seen: UInt64 = 0
    package var packs = 0
    package var bytes: UInt64 = 0
    /// To be condemned.
    package var dead: [Dead] = []
    /// To be rewritten without what is dead, and condemned.
    package var compacted: [Compacted] = []
    /// Condemned, in grace or held.
    package var waiting: [Waiting] = []
    /// Condemned and to be deleted.
    package var due: [Waiting] = []
    /// That no entry names and that are younger than the grace: perhaps of a commit in progress.
    package var young = 0
    package var youngBytes: UInt64 = 0
    /// Leases that are in force.
    package var leases: [StandingLease] = []

    package var reclaimable: UInt64 {
        dead.reduce(0) { $0 + $1.bytes } + compacted.reduce(0) { $0 + $1.bytes - $1.rewritten }
    }
    package var isEmpty: Bool { dead.isEmpty && compacted.isEmpty && due.isEmpty }
}

/// What a collection did.
package struct CollectionOutcome: Sendable {
    package let plan: CollectionPlan
    /// The entry that condemned; `nil`: nothing was.
    package var condemned: UInt64?
    package var condemnedPacks = 0
    /// Packs written by compaction, and their bytes.
    package var written = 0
    package var writtenBytes: UInt64 = 0
    package var deletedPacks = 0
    package var deletedBytes: UInt64 = 0
}
