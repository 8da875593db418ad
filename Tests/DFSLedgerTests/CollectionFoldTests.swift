import DFSChunking
import DFSLedger
import DFSModel
import DFSSystem
import Testing

/// What the fold says of removals and condemnations.
struct CollectionFoldTests {
    private let fixture: Fixture

    init() throws {
        fixture = try Fixture()
        try fixture.append(.commit("faces", 1))
        try fixture.append(.commit("faces", 2), .tag("best", "faces", 2))
    }

    private func reason(_ events: LedgerEvent...) throws -> String? {
        let error = #expect(throws: DFSError.self) { try fixture.ledger.append(signer: fixture.signer) { _ in events } }
        #expect(error?.code == .refused)
        return error?.cause
    }

    @Test func removalsAndCondemnations() throws {
        try fixture.append(.removal("faces", 2))
        var faces = try #require(fixture.ledger.state.datasets["faces"])
        #expect(faces.latest?.number == 1 && faces.lastNumber == 2 && faces.tags == [:])
        #expect(faces.version(tag: "best") == nil && faces.version(2) != nil && faces.removal(of: 2) != nil)
        #expect(try reason(.removal("faces", 2)) == "faces@v2 is removed already")
        #expect(try reason(.removal("faces", 3)) == "there is no faces@v3")
        #expect(try reason(.removal("none", nil)) == "there is no dataset none")
        #expect(try reason(.tag("x", "faces", 2)) == "faces@v2 was removed")
        #expect(try reason(.commit("faces", 2)) == "the next version of faces is v3")
        try fixture.append(.commit("faces", 3), .removal("faces", nil))
        faces = try #require(fixture.ledger.state.datasets["faces"])
        #expect(faces.latest == nil && faces.standingCount == 0)
        #expect(try reason(.removal("faces", nil)) == "faces is removed already")

        let (a, b, c) = (PackID.some("a"), PackID.some("b"), PackID.some("c"))
        let first = try #require(try fixture.append(.condemnation([a], [a: [b]]))).sequence
        let state = fixture.ledger.state.condemnations
        #expect(state.newest == first && state.standing([a, c]) == [b, c] && state.condemned(of: [a, b]) == [a])
        // Whoever has not read it may not record.
        #expect(try reason(.commit("faces", 4))?.contains("heeds the condemnation of entry 0") == true)
        #expect(try reason(.condemnation([c]))?.contains("heeds") == true)
        try fixture.append(.commit("faces", 4).heeding(first))
        #expect(try reason(.condemnation([a]).heeding(first))?.contains("condemned already") == true)
        #expect(try reason(.condemnation([c], [c: [a]]).heeding(first))?.contains("replaces none") == true)
        #expect(try reason(.condemnation([c], [b: [c]]).heeding(first))?.contains("does not condemn") == true)
        #expect(try reason(.condemnation([c], seen: 99).heeding(first))?.contains("come after") == true)
        // What stands in may be condemned in turn.
        let second = try #require(try fixture.append(.condemnation([b], [b: [c]]).heeding(first))).sequence
        #expect(fixture.ledger.state.condemnations.standing([a]) == [c])
        #expect(fixture.ledger.state.condemnations.condemned(of: [a, b], after: first) == [b])
        // An event whose own pack is condemned.
        let own = PackID.some("removal faces 4")
        let third = try #require(try fixture.append(.condemnation([own]).heeding(second))).sequence
        #expect(try reason(.removal("faces", 4).heeding(third)) == "its pack \(own) is condemned")
        #expect(try reason(.packsDeleted(.init(condemned: first, packs: [b])))?.contains("does not condemn") == true)
        try fixture.append(.packsDeleted(.init(condemned: first, packs: [a])))
        #expect(try reason(.packsDeleted(.init(condemned: first, packs: [a])))?.contains("deleted already") == true)
        #expect(fixture.ledger.state.condemnations.deleted == [a])
        // It comes back from a cache and from entries the same.
        #expect(try LedgerState(rows: fixture.ledger.state.rows()) == fixture.ledger.state)
        #expect(try Fixture.open(fixture.backend).refresh() == fixture.ledger.state)
        for event in [LedgerEvent.removal("faces", nil), .condemnation([a], [a: [b]]).heeding(7)] {
            #expect(try LedgerEvent(json: event.json) == event)
        }
    }
}
