import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem

/// What is needed of which pack, at one state of a store.
///
/// Works from the tables in the store, each compared with its id; the host's index proves nothing here. Every needed object
/// has one place that is kept; when one has none, the store is damaged and nothing may be collected.
struct Assessment {
    let repository: Repository
    let options: Collector.Options
    private(set) var state: LedgerState
    private(set) var liveness: Liveness
    let survey: PackSurvey
    /// The store's clock.
    let now: Timestamp
    private(set) var leases: [StandingLease]
    /// Packs that entries name and that are not condemned; those in which more is needed come first.
    private(set) var order = [PackID]()
    /// Where each object that is needed or wished is kept: a place in `order`.
    private(set) var chosen = [Digest: UInt32]()
    /// Needed bytes of each pack of `order`, without what is kept elsewhere; what lies in it twice counts once.
    private(set) var live = [UInt64]()
    /// Named packs of which nothing is kept.
    private(set) var dead = [PackID]()
    /// Named packs that are worth rewriting.
    private(set) var half = [PackID]()
    /// Bytes that what is kept of each of `half` has when it is rewritten.
    private(set) var rewritten = [PackID: UInt64]()
    /// Packs that no entry names, older than the grace.
    private(set) var unnamed = [PackID]()
    /// Packs that entries named which came since the survey; asked again and again, this only grows.
    private var namedSince = Set<PackID>()
    private let tables = BoundedCache<PackID, PackIndex>(limit: 128 << 20)
    /// Percent of a pack that must come free when it is rewritten. What only aligns extents never does, so that collecting
    /// again rewrites nothing.
    private static let leastSaving = 5

    init(_ repository: Repository, _ state: LedgerState, _ options: Collector.Options) throws(DFSError) {
        if let kind = state.unknownKinds.keys.sorted().first {
            throw DFSError(
                .newerFormat, "nothing is collected in \(repository.root)",
                cause:
                    "its ledger holds events of kind \(kind), which a newer version wrote: they may need what this one "
                    + "does not see", hint: "install a newer dfs")
        }
        self.repository = repository
        self.options = options
        self.state = state
        now = (try? repository.backend.time()) ?? Clock.now()
        leases = []
        liveness = Liveness(repository: repository)
        try liveness.mark(state)
        survey = try PackSurvey(repository, state)
        try look(at: StandingLease.all(repository.backend))
        try choose()
        classify()
    }

    /// Marks what leases hold that were not looked at before.
    private mutating func look(at standing: [StandingLease]) {
        for lease in standing where !lease.isVoid(at: now) && !leases.contains(where: { $0.key == lease.key }) {
            liveness.mark(state, asOf: lease.sequence)
            leases.append(lease)
        }
    }

    func table(_ pack: PackID) throws(DFSError) -> PackIndex {
        if let known = tables[pack] { return known }
        let table = try repository.objects.readIndex(pack)
        tables.insert(table, for: pack, cost: table.bytes.count + 128)
        return table
    }

    // MARK: Places

    private mutating func choose() throws(DFSError) {
        var shares = [(pack: PackID, share: Double)]()
        for pack in survey.named {
            let table = try soundTable(pack)
            var bytes: UInt64 = 0, hasAny = false
            for i in 0..<table.count where liveness.contains(table[i].digest) {
                bytes += UInt64(table[i].storedLength)
                hasAny = true
            }
            shares.append((pack, hasAny ? Double(bytes + 1) / Double(table.packLength + 1) : 0))
        }
        // Where the same object lies in several packs, that one is kept of which most is needed.
        shares.sort { $0.share == $1.share ? $0.pack < $1.pack : $0.share > $1.share }
        order = shares.map(\.pack)
        live = [UInt64](repeating: 0, count: order.count)
        for (number, share) in shares.enumerated() where share.share > 0 {
            let table = try table(share.pack)
            for i in 0..<table.count {
                let item = table[i]
                guard liveness.contains(item.digest), chosen[item.digest] == nil else { continue }
                chosen[item.digest] = UInt32(number)
                live[number] += UInt64(item.storedLength)
            }
        }
        if let missing = liveness.needed.first(where: { chosen[$0] == nil }) {
            throw DFSError(
                .corrupt, "nothing is collected in \(repository.root)",
                cause: "\(missing.text) is needed and in no pack that an entry names", hint: "dfs verify")
        }
    }

    /// The table of a pack that is there, with the length that the table says.
    private func soundTable(_ pack: PackID) throws(DFSError) -> PackIndex {
        let table = try table(pack)
        guard survey.packs[pack]?.length == table.packLength else {
            throw DFSError(
                .corrupt, "nothing is collected in \(repository.root)",
                cause: "\(PackIndex.packKey(pack)) is missing or has another length than its table says",
                hint: "dfs verify")
        }
        return table
    }

    private mutating func classify() {
        let used = Set(chosen.values)
        for (number, pack) in order.enumerated() {
            guard used.contains(UInt32(number)) else {
                dead.append(pack)
                continue
            }
            guard let table = try? table(pack), live[number] * 100 < table.packLength * UInt64(options.compactBelow)
            else { continue }
            // A file that is needed whole stays one, also when the same chunk lies in it many times.
            if table.kind == .singleFile, (0..<table.count).allSatisfy({ isKept(table[$0].digest, in: pack) }) {
                continue
            }
            let length = PackCompactor.rewrittenLength(table) { isKept($0, in: pack) }
            guard length * 100 <= table.packLength * UInt64(100 - Self.leastSaving) else { continue }
            half.append(pack)
            rewritten[pack] = length
        }
        for pack in survey.packs.values where pack.standing == .unnamed {
            if pack.modified.adding(seconds: options.grace) <= now { unnamed.append(pack.id) }
        }
        unnamed.sort()
    }

    /// Whether a digest is kept in this pack.
    func isKept(_ digest: Digest, in pack: PackID) -> Bool { chosen[digest].map { order[Int($0)] == pack } ?? false }

    // MARK: Before the entry

    /// Which packs can be condemned by an entry that follows `later`, and what stands in for each. `places` says where
    /// compaction has put what it copied.
    mutating func condemnable(
        following later: LedgerState, _ places: [Digest: PackID]
    ) throws(DFSError) -> [PackID: Set<PackID>] {
        if later.head.sequence != state.head.sequence { _ = try repository.state() }
        for mark in later.packSets where mark.sequence > state.head.sequence {
            namedSince.formUnion(try repository.ownPacks(mark.packs, mark.pack))
        }
        if later.head.sequence != state.head.sequence { try liveness.mark(later) }
        state = later
        try look(at: StandingLease.all(repository.backend))
        var condemned = [PackID: Set<PackID>]()
        for pack in dead + half where !namedSince.contains(pack) {
            if let replacements = try replacements(of: pack, places) { condemned[pack] = replacements }
        }
        for pack in unnamed where !namedSince.contains(pack) { condemned[pack] = [] }
        return condemned
    }

    /// Where all that is needed of a pack lies besides; `nil` when something lies nowhere else.
    private func replacements(of pack: PackID, _ places: [Digest: PackID]) throws(DFSError) -> Set<PackID>? {
        let table = try table(pack)
        var replacements = Set<PackID>()
        for i in 0..<table.count {
            let digest = table[i].digest
            guard liveness.contains(digest) else { continue }
            if let place = places[digest] {
                replacements.insert(place)
                continue
            }
            // Needed only since the places were chosen, or not copied.
            guard let number = chosen[digest], order[Int(number)] != pack else { return nil }
            let other = order[Int(number)]
            // A copy that cannot be read is none.
            guard let item = try self.table(other).find(digest), (try? repository.objects.read(item, of: other)) != nil
            else { return nil }
            replacements.insert(other)
        }
        return replacements
    }

    // MARK: Before deletion

    /// Who holds something of a condemned pack that lies in no other.
    func holders(of pack: PackID) -> [String] {
        guard !leases.isEmpty, let table = try? table(pack) else { return [] }
        let isHeld = (0..<table.count).contains { i in
            liveness.wished.contains(table[i].digest) && chosen[table[i].digest] == nil
        }
        return isHeld ? leases.map(\.holder) : []
    }
}
