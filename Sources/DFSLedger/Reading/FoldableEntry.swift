import DFSChunking
import DFSModel

/// An event of an entry as read, or why it cannot be.
struct ParsedEvent: Sendable {
    let kind: String
    let event: Result<LedgerEvent, DFSError>

    init(_ json: JSONValue) {
        do throws(DFSError) {
            let event = try LedgerEvent(json: json)
            kind = event.kind
            self.event = .success(event)
        } catch {
            kind = json["kind"]?.string ?? ""
            event = .failure(error)
        }
    }

    /// Whether it says something about keys.
    var isAboutKeys: Bool {
        switch event {
        case .success(.keyAdded), .success(.keyApproved), .success(.keyRevoked): true
        default: false
        }
    }
}

/// What the fold needs of an entry, made on any thread.
struct FoldableEntry: Sendable {
    let sequence: UInt64
    let previous: Digest
    let store: StoreID
    let time: Timestamp
    let key: KeyID
    let events: [ParsedEvent]
    /// SHA-256 of the entry's file.
    let digest: Digest

    init(_ entry: LedgerEntry, digest: Digest) {
        sequence = entry.sequence
        previous = entry.previous
        store = entry.store
        time = entry.time
        key = entry.key
        events = entry.events.map { ParsedEvent($0) }
        self.digest = digest
    }
}
