import DFSLedger
import DFSModel
import DFSSystem
import Testing

/// Which signatures are checked when many entries are read at once, and what that finds.
struct TrustTests {
    private let mallory: OpenSSHKey

    init() throws { mallory = try OpenSSHKey.generate(comment: "mallory") }

    private func isFound(_ chronicle: Chronicle, at sequence: UInt64) throws {
        let error = failure { _ = try chronicle.read() }
        #expect(
            error?.code == .corrupt && error?.what.contains("entry \(sequence) ") == true,
            "\(String(describing: error))")
        #expect(try chronicle.fixture.verify().problems.contains { $0.sequence == sequence })
    }

    /// A history rewritten from the middle on: what is put into the owner's mouth is found, whoever signs what follows.
    @Test func rewrittenHistoryIsFound() throws {
        var chronicle = try Chronicle()
        try chronicle.fill(to: 700)
        try chronicle.tell(.commit("faces", 700), by: mallory, as: chronicle.owner.publicKey)
        try chronicle.tell(.keyAdded(mallory.publicKey, owner: false), by: mallory)
        try chronicle.fill(to: 1500, by: mallory)
        try isFound(chronicle, at: 701)
    }

    @Test func theLastWordOfAnOwnerMustBeTheirs() throws {
        var chronicle = try Chronicle()
        try chronicle.tell(.keyAdded(mallory.publicKey, owner: false), by: mallory)
        try chronicle.fill(to: 1500, by: mallory)
        try chronicle.tell(.commit("faces", 1499), by: mallory, as: chronicle.owner.publicKey)
        try isFound(chronicle, at: 1501)
    }

    /// Somebody makes himself an owner, in an entry that is far behind the last that he signs as one.
    @Test func nobodyMakesHimselfAnOwner() throws {
        var chronicle = try Chronicle()
        try chronicle.fill(to: 600)
        try chronicle.tell(
            .keyAdded(mallory.publicKey, owner: true), by: mallory, as: chronicle.owner.publicKey)
        try chronicle.fill(to: 1500, by: mallory)
        try isFound(chronicle, at: 601)
    }

    /// What stands before an owner's entry is what the owner had read: one signature covers it. A full check still looks.
    @Test func anOwnersSignatureCoversWhatItFollows() throws {
        var chronicle = try Chronicle()
        try chronicle.tell(.keyAdded(mallory.publicKey, owner: false), by: mallory)
        try chronicle.fill(to: 300, by: mallory)
        try chronicle.tell(.commit("faces", 299), by: try OpenSSHKey.generate(comment: ""), as: mallory.publicKey)
        try chronicle.fill(to: 1200)
        try chronicle.fill(to: 1500, by: mallory)
        let state = try chronicle.read()
        #expect(try state == chronicle.state() && state.head.sequence == 1500)
        #expect(try chronicle.fixture.verify().problems.map(\.sequence) == [301])
    }

    /// The key of an owner that was revoked may have been stolen: what it signed vouches for nothing.
    @Test func aRevokedOwnerVouchesForNothing() throws {
        let second = try OpenSSHKey.generate(comment: "second")
        var chronicle = try Chronicle()
        try chronicle.tell(.keyAdded(second.publicKey, owner: true), .keyAdded(mallory.publicKey, owner: false))
        try chronicle.fill(to: 300, by: mallory)
        try chronicle.tell(.commit("faces", 299), by: try OpenSSHKey.generate(comment: ""), as: mallory.publicKey)
        try chronicle.fill(to: 1200)
        #expect(try chronicle.read().head.sequence == 1200)
        try chronicle.tell(.keyRevoked(chronicle.owner.publicKey.id, text: nil), by: second)
        try isFound(chronicle, at: 301)
    }

    /// Nobody but strangers signs after the beginning, more than wait at a time.
    @Test func strangersAreCheckedOneByOne() throws {
        var chronicle = try Chronicle()
        try chronicle.tell(.keyAdded(mallory.publicKey, owner: false), by: mallory)
        try chronicle.fill(to: 4200, by: mallory)
        #expect(try chronicle.read() == chronicle.state())
        let forged = try OpenSSHKey.generate(comment: "")
        try chronicle.tell(.commit("faces", 4199), by: forged, as: mallory.publicKey)
        try chronicle.fill(to: 4250, by: mallory)
        try isFound(chronicle, at: 4201)
    }

    @Test func aBrokenChainIsFound() throws {
        var chronicle = try Chronicle()
        try chronicle.fill(to: 800)
        chronicle.previous = .zero
        try chronicle.tell(.commit("faces", 800))
        try chronicle.fill(to: 1500)
        let error = failure { _ = try chronicle.read() }
        #expect(error?.code == .corrupt && error?.cause == "it does not chain to the bytes of entry 800")
    }
}
