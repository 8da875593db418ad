import DFSChunking
import DFSLedger
import DFSModel
import DFSSystem
import Testing

struct EntryTests {
    @Test func pathsOfEntries() {
        #expect(EntryKey.path(1) == "ledger/000000000/000000000001.json")
        #expect(EntryKey.path(999) == "ledger/000000000/000000000999.json")
        #expect(EntryKey.path(1000) == "ledger/000000001/000000001000.json")
        #expect(EntryKey.path(123_456_789_012) == "ledger/123456789/123456789012.json")
        for sequence in [1, 999, 1000, 1001, 999_999_999_999] as [UInt64] {
            #expect(EntryKey.sequence(EntryKey.path(sequence)) == sequence)
        }
        for path in [
            "ledger/000000000/000000000000.json", "ledger/000000001/000000000001.json", "ledger/1.json",
            "ledger/000000000/000000000001.json.tmp", "ledger/000000000/+00000000001.json", "packs/aa/x.pack",
        ] {
            #expect(EntryKey.sequence(path) == nil)
        }
    }

    private func entry(_ events: [LedgerEvent], by signer: any Signer) throws -> LedgerEntry {
        let now = Timestamp(seconds: 1_790_000_000, nanoseconds: 123_456_789)
        return try LedgerEntry.signed(
            sequence: 7, previous: someDigest("x"), store: Fixture.store, time: now,
            clock: EntryClock(host: now, store: now, synchronised: .unknown), events: events, by: signer)
    }

    @Test func roundTrip() throws {
        let signer = try OpenSSHKey.generate(comment: "")
        let made = try entry([.commit("faces", 1), .unknown(["kind": "new", "é": [1, true, nil]])], by: signer)
        let read = try LedgerEntry.parse(made.encoded)
        #expect(read == made)
        #expect(read.encoded == made.encoded)
        #expect(read.signatureProblem(signer.publicKey) == nil)
        #expect(read.clock.host.nanoseconds == 123_456_000)
        #expect(made.digest == .of(made.encoded))
    }

    /// Written once by the first version; every later one must read it.
    @Test func entryOfTheFirstVersion() throws {
        let entry = try LedgerEntry.parse(Array(Golden.entry.utf8))
        let key = try #require(PublicKey(line: Golden.publicKey))
        #expect(entry.signatureProblem(key) == nil)
        #expect(entry.sequence == 1)
        #expect(entry.key == key.id)
        #expect(entry.digest.hex == Golden.digest)
        #expect(
            try entry.events.map { json throws(DFSError) in try LedgerEvent(json: json) } == [
                .storeCreated, .keyAdded(key, owner: true), .commit("faces", 1), .code("train", "s1"),
            ])
    }

    @Test func unknownMembersAreKeptAndSigned() throws {
        let signer = try OpenSSHKey.generate(comment: "")
        var members = try #require(try JSONValue.parse(try entry([.storeCreated], by: signer).encoded).object)
        members["future"] = ["a": 1]
        members["signature"] = nil
        members["signature"] = .string(Base64.encode(try signer.sign(JSONValue.object(members).canonicalBytes)))
        let bytes = JSONValue.object(members).canonicalBytes
        let entry = try LedgerEntry.parse(bytes)
        #expect(entry.encoded == bytes)
        #expect(entry.unknownMembers == ["future"])
        #expect(entry.signatureProblem(signer.publicKey) == nil)
    }

    @Test(
        arguments: [
            ("format", .string("dfs.entry/2")), ("format", .string("other")), ("sequence", 0), ("sequence", -1),
            ("sequence", .double(1.5)), ("previous", "sha256:00"), ("store", "x"), ("time", "2026-11-23T22:00:00Z"),
            ("time", "2026-13-23T22:00:00.000000Z"), ("nonce", "00"),
            ("nonce", .string(String(repeating: "G", count: 32))),
            ("signature", "AB=="), ("key", "SHA256:abc"), ("events", []), ("events", [:]), ("clock", [:]),
            (
                "clock",
                ["host": "2026-11-23T22:00:00.000000Z", "store": "2026-11-23T22:00:00.000000Z", "synchronised": "?"]
            ),
        ] as [(String, JSONValue)])
    func malformedMemberIsRefused(name: String, value: JSONValue) throws {
        let signer = try OpenSSHKey.generate(comment: "")
        var members = try #require(try JSONValue.parse(try entry([.storeCreated], by: signer).encoded).object)
        members[name] = value
        let error = failure { _ = try LedgerEntry.parse(JSONValue.object(members).canonicalBytes) }
        #expect(error?.code == (value == "dfs.entry/2" ? .newerFormat : .corrupt))
        members[name] = nil
        #expect(failure { _ = try LedgerEntry.parse(JSONValue.object(members).canonicalBytes) }?.code == .corrupt)
    }

    @Test func formOtherThanCanonicalIsRefused() throws {
        let text = String(
            decoding: try entry([.storeCreated], by: OpenSSHKey.generate(comment: "")).encoded, as: UTF8.self)
        for altered in [
            text + "\n", " " + text, text.replacing(":7,", with: ":07,"), text.replacing(":7,", with: ": 7,"),
        ] {
            #expect(throws: DFSError.self) { try LedgerEntry.parse(Array(altered.utf8)) }
        }
    }
}

struct EventTests {
    static let all: [LedgerEvent] = {
        let key = PublicKey(raw: [UInt8](repeating: 7, count: 32))!
        let text = ObjectAddress(someDigest("text"))
        return [
            .storeCreated, .keyAdded(key, owner: true), .keyApproved(key.id, text: nil),
            .keyRevoked(key.id, text: text),
            .commit("team/faces", 3, text: text), .commit("faces", 1), .tag("best", "faces", 3, moved: true),
            .tagSet(.init(tag: "t", target: .run(run(1)), moved: false, text: text)),
            .tagRemoved(.init(tag: "t", holder: .dataset("faces"))),
            .tagRemoved(.init(tag: "t", holder: .run(run(1)), text: text)), .code("train", "s1"),
            .start(run(1), data: [.faces(1), .faces(2, key: "old")]), .finish(run(1)),
            .runInterrupted(.end(run(1), .interrupted)), .unknown(["kind": "later", "n": 1]),
        ]
    }()

    @Test(arguments: all) func roundTrip(event: LedgerEvent) throws {
        #expect(event.json["kind"]?.string == event.kind)
        #expect(try LedgerEvent(json: event.json) == event)
        #expect(try JSONValue.parseCanonical(event.json.canonicalBytes) == event.json)
    }

    /// Each member taken away, or of a wrong kind, is noticed; one more than known is not minded.
    @Test(arguments: all) func everyMemberIsRead(event: LedgerEvent) throws {
        guard case .object(let members) = event.json, !["later", "store.created"].contains(event.kind) else { return }
        let optional: Set<String> = ["text", "outputs", "work", "logs"]
        for name in members.keys where name != "kind" {
            var altered = members
            altered[name] = .double(0.5)
            #expect(failure { _ = try LedgerEvent(json: .object(altered)) }?.code == .corrupt, "\(name)")
            altered[name] = nil
            if !optional.contains(name) {
                #expect(failure { _ = try LedgerEvent(json: .object(altered)) }?.code == .corrupt, "\(name)")
            }
        }
        var more = members
        more["later"] = 1
        #expect(try LedgerEvent(json: .object(more)) == event)
    }

    @Test func ambiguousOrForgedEventsAreRefused() throws {
        for json in [JSONValue.null, [:], ["kind": 1], []] {
            #expect(throws: DFSError.self) { try LedgerEvent(json: json) }
        }
        var tag = try #require(LedgerEvent.tag("t", "faces", 1).json.object)
        tag["run"] = .string(run(1).description)
        #expect(throws: DFSError.self) { try LedgerEvent(json: .object(tag)) }
        let key = try OpenSSHKey.generate(comment: "").publicKey
        var added = try #require(LedgerEvent.keyAdded(key, owner: false).json.object)
        added["public"] = .string(key.line + " comment")
        #expect(throws: DFSError.self) { try LedgerEvent(json: .object(added)) }
        added["public"] = .string(try OpenSSHKey.generate(comment: "").publicKey.line)
        #expect(throws: DFSError.self) { try LedgerEvent(json: .object(added)) }
    }

    @Test func textObjects() throws {
        let text = TextObject(fields: ["message": "hello"])
        #expect(try TextObject.parse(text.encoded) == text)
        #expect(text.address != TextObject(fields: ["message": "hello"]).address)
        #expect(throws: DFSError.self) { try TextObject.parse(Array("{}".utf8)) }
        #expect(throws: DFSError.self) { try TextObject.parse(text.encoded + [0x0a]) }
    }
}
