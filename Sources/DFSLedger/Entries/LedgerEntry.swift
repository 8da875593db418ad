import DFSChunking
import DFSModel
import DFSSystem

/// What the clocks said when an entry was made.
package struct EntryClock: Sendable, Hashable {
    /// The host's.
    package let host: Timestamp
    /// That of the machine which holds the store.
    package let store: Timestamp
    /// Whether the host's clock was kept in step.
    package let synchronised: ClockSynchronisation

    package init(host: Timestamp, store: Timestamp, synchronised: ClockSynchronisation) {
        self.host = host.wholeMicroseconds
        self.store = store.wholeMicroseconds
        self.synchronised = synchronised
    }
}

/// One file of the ledger: numbered, chained, signed (FORMAT.md §7.1). Members that this version does not know are
/// kept and signed like the others.
package struct LedgerEntry: Sendable, Hashable {
    package static let format = "dfs.entry/1"
    /// A larger file is no entry.
    package static let byteLimit = 1 << 26

    /// From 1, without a gap.
    package let sequence: UInt64
    /// SHA-256 of the predecessor's file; of entry 1: of `dfs-store.json`.
    package let previous: Digest
    package let store: StoreID
    /// Never before the predecessor's.
    package let time: Timestamp
    package let clock: EntryClock
    /// The key that signed.
    package let key: KeyID
    /// 32 hexadecimal digits, so that no two entries are ever the same bytes.
    package let nonce: String
    package let events: [JSONValue]
    /// An SSHSIG blob over `signedBytes`.
    package let signature: [UInt8]
    /// All members as stored.
    private let members: [String: JSONValue]

    /// The names that this version knows.
    private static let knownMembers: Set<String> = [
        "clock", "events", "format", "key", "nonce", "previous", "sequence", "signature", "store", "time",
    ]

    /// Builds and signs an entry with a new nonce.
    package static func signed(
        sequence: UInt64, previous: Digest, store: StoreID, time: Timestamp, clock: EntryClock,
        events: [LedgerEvent], by signer: any Signer
    ) throws(DFSError) -> LedgerEntry {
        var members: [String: JSONValue] = [
            "clock": [
                "host": .string(clock.host.description), "store": .string(clock.store.description),
                "synchronised": .string(clock.synchronised.rawValue),
            ],
            "events": .array(events.map(\.json)), "format": .string(format),
            "key": .string(signer.publicKey.id.text), "nonce": .string(Randomness.hex(bytes: 16)),
            "previous": .string(previous.text), "sequence": .integer(Int64(clamping: sequence)),
            "store": .string(store.description), "time": .string(time.description),
        ]
        let signature = try signer.sign(JSONValue.object(members).canonicalBytes)
        members["signature"] = .string(Base64.encode(signature))
        return try LedgerEntry(members: members)
    }

    /// Reads the bytes of an entry's file. Throws `.newerFormat` for another format number, else `.corrupt`.
    /// Does not look at chain and signature.
    package static func parse(_ bytes: [UInt8]) throws(DFSError) -> LedgerEntry {
        guard case .object(let members) = try JSONValue.parseCanonical(bytes) else {
            throw problem("it is not a JSON object")
        }
        return try LedgerEntry(members: members)
    }

    private init(members: [String: JSONValue]) throws(DFSError) {
        let fields = JSONFields(members, problem: Self.problem)
        let format = try fields.text("format")
        guard format == Self.format else {
            throw format.hasPrefix("dfs.entry/")
                ? DFSError(.newerFormat, "a ledger entry has format \(format)", hint: "dfs --version")
                : Self.problem("its format is \(format)")
        }
        self.members = members
        sequence = try fields.count("sequence")
        previous = try fields.digest("previous")
        store = StoreID(try fields.value("store") { UUIDv7($0) })
        time = try fields.value("time") { Timestamp(stored: $0) }
        key = try fields.value("key") { KeyID(text: $0) }
        nonce = try fields.value("nonce") { $0.utf8.count == 32 && Hex.decode($0) != nil ? $0 : nil }
        signature = try fields.value("signature") { Base64.decode($0) }
        events = try fields.array("events")
        let clock = try fields.object("clock")
        self.clock = EntryClock(
            host: try clock.value("host") { Timestamp(stored: $0) },
            store: try clock.value("store") { Timestamp(stored: $0) },
            synchronised: try clock.value("synchronised") { ClockSynchronisation(rawValue: $0) })
        guard sequence > 0 else { throw Self.problem("its sequence number is 0") }
        guard !events.isEmpty else { throw Self.problem("it holds no event") }
    }

    private static func problem(_ cause: String) -> DFSError {
        DFSError(.corrupt, "malformed ledger entry", cause: cause)
    }

    /// The bytes of the entry's file.
    package var encoded: [UInt8] { JSONValue.object(members).canonicalBytes }

    /// What the signature is over: the canonical JSON of the entry without its signature.
    package var signedBytes: [UInt8] {
        JSONValue.object(members.filter { $0.key != "signature" }).canonicalBytes
    }

    /// SHA-256 of the entry's file, which its successor names.
    package var digest: Digest { .of(encoded) }

    /// Names of members that this version passes over, in order.
    package var unknownMembers: [String] {
        members.keys.filter { !Self.knownMembers.contains($0) }.sorted()
    }

    /// Why the signature does not hold for `key`; `nil` when it does.
    package func signatureProblem(_ key: PublicKey) -> String? {
        SSHSIG.problem(signature, message: signedBytes, key: key)
    }
}
