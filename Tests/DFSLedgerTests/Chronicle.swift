import DFSChunking
import DFSLedger
import DFSModel
import DFSRemote
import DFSSystem
import Glibc

/// Puts entries of any kind, also such as no program would write, into a ledger's folders without waiting for a disk.
struct Chronicle {
    let fixture: Fixture
    let owner: any Signer
    /// SHA-256 of the last entry, or of `dfs-store.json`.
    var previous = Fixture.storeFileDigest
    var sequence: UInt64 = 0
    private var time = Timestamp(seconds: 1_790_000_000, nanoseconds: 0)
    /// Of the one dataset of which there are any.
    private var versions = 0

    /// Begins a ledger; its owner is the fixture's key.
    init() throws {
        fixture = try Fixture()
        owner = fixture.signer
        try Files.makeDirectories(fixture.backend.root, mode: 0o755)
        try tell(.storeCreated, .keyAdded(owner.publicKey, owner: true))
    }

    /// `claimed` stands as the signer, whoever signs.
    mutating func tell(_ events: LedgerEvent..., by signer: (any Signer)? = nil, as claimed: PublicKey? = nil) throws {
        let signer = signer ?? owner
        let pretender = Pretender(publicKey: claimed ?? signer.publicKey, hand: signer)
        time = time.adding(seconds: 1)
        let entry = try LedgerEntry.signed(
            sequence: sequence + 1, previous: previous, store: Fixture.store, time: time,
            clock: EntryClock(host: time, store: time, synchronised: .yes), events: events, by: pretender)
        sequence += 1
        versions += events.count { $0.kind == "dataset.committed" }
        previous = entry.digest
        let path = fixture.path(sequence)
        try Files.makeDirectories(Files.parent(path), mode: 0o755)
        let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o444)
        try Files.write(entry.encoded, to: file.raw, what: path)
    }

    private struct Pretender: Signer {
        let publicKey: PublicKey
        let hand: any Signer
        func sign(_ message: [UInt8]) throws(DFSError) -> [UInt8] { try hand.sign(message) }
    }

    /// Entries up to `last`: versions of one dataset, which `signer` signs.
    mutating func fill(to last: UInt64, dataset: String = "faces", by signer: (any Signer)? = nil) throws {
        while sequence < last { try tell(.commit(dataset, versions + 1), by: signer) }
    }

    /// The entry is appended as commands do it.
    mutating func append(_ event: LedgerEvent) throws {
        guard let entry = try Fixture.open(fixture.backend).append(signer: owner, makeEvents: { _ in [event] }) else {
            return
        }
        sequence = entry.sequence
        versions += 1
        time = entry.time
        previous = entry.digest
    }

    /// Entry by entry, as it stands in the files, signatures unseen.
    func state() throws -> LedgerState {
        var state = LedgerState(store: Fixture.store, storeFileDigest: Fixture.storeFileDigest)
        for number in 1...sequence {
            guard let bytes = try Files.read(fixture.path(number)) else { break }
            try state.apply(try LedgerEntry.parse(bytes), fileDigest: .of(bytes), signatures: .trust)
        }
        return state
    }

    /// A host that knows nothing reads the ledger.
    func read() throws -> LedgerState { try Fixture.open(fixture.backend).refresh() }
}
