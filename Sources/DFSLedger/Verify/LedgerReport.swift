import DFSModel

/// What a look at every entry of a ledger found.
package struct LedgerReport: Sendable, Hashable {
    package struct Finding: Sendable, Hashable {
        /// The entry's number by its place, 0 when it is about no single entry.
        package let sequence: UInt64
        package let what: String

        package init(sequence: UInt64, what: String) {
            self.sequence = sequence
            self.what = what
        }
    }

    /// Entries that were there.
    package internal(set) var entries = 0
    /// Text objects that were compared with their commitment.
    package internal(set) var texts = 0
    /// What must not be: altered, missing, foreign, wrongly signed. Empty: the ledger is whole.
    package internal(set) var problems: [Finding] = []
    /// Kinds and members that this version does not know and passed over.
    package internal(set) var passedOver: [Finding] = []
    /// Files under `ledger/` that are no entries.
    package internal(set) var strays: [String] = []
    /// The fold over all entries with a valid signature. `rejected` lists events that contradict earlier ones.
    package internal(set) var state: LedgerState

    package var isWhole: Bool { problems.isEmpty }

    /// In the order in which they were added.
    package var keys: [KeyRecord] {
        state.keys.values.sorted { ($0.sequence, $0.publicKey.id) < ($1.sequence, $1.publicKey.id) }
    }

    /// Keys that no owner stands behind.
    package var unvouchedKeys: [KeyID] { keys.filter { !$0.isVouchedFor }.map(\.publicKey.id) }
}
