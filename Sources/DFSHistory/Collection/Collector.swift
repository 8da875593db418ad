import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem

/// Takes out of a store what nothing needs any more: what `dfs gc` does. Needs no lock and waits for nobody.
///
/// In two steps. Packs are *condemned* by a ledger entry. Whoever records something after that has read it, and relies on no
/// condemned pack. A grace later the packs are *deleted*, and an entry says so. Stopped anywhere, the next collection goes on.
package struct Collector {
    package struct Options: Sendable {
        /// Seconds for which readers may go on with what is condemned, and packs without an entry are left alone.
        package var grace: Int64 = 7 * 86400
        /// A pack of which less than so many percent are needed is rewritten, if that makes it smaller by a twentieth.
        package var compactBelow = 50

        package init(grace: Int64 = 7 * 86400, compactBelow: Int = 50) {
            self.grace = grace
            self.compactBelow = compactBelow
        }
    }

    private let repository: Repository
    private let options: Options
    /// Read from the first entry on: a cached state is no proof that nothing needs a pack.
    private let ledger: Ledger

    private static let attempts = 8

    package init(repository: Repository, options: Options) {
        self.repository = repository
        self.options = options
        ledger = Ledger(
            backend: repository.backend, store: repository.id, storeFileDigest: repository.ledger.storeFileDigest)
    }

    // MARK: Planning

    /// What would be done. Changes nothing.
    package func plan() throws(DFSError) -> CollectionPlan { try plan(try assess()) }

    private func assess() throws(DFSError) -> Assessment {
        let state = try ledger.refresh()
        // The host's index then leads at least to what this state names.
        _ = try repository.state()
        return try Assessment(repository, state, options)
    }

    private func plan(_ assessment: Assessment) throws(DFSError) -> CollectionPlan {
        let survey = assessment.survey
        var plan = CollectionPlan()
        plan.seen = assessment.state.head.sequence
        plan.packs = survey.packs.count
        plan.bytes = survey.packs.values.reduce(0) { $0 + $1.bytes }
        let owners = try owners(assessment)
        for pack in assessment.dead {
            plan.dead.append(.init(pack: pack, bytes: survey.packs[pack]?.bytes ?? 0, owners: owners[pack] ?? []))
        }
        for pack in assessment.unnamed {
            plan.dead.append(.init(pack: pack, bytes: survey.packs[pack]?.bytes ?? 0, isNamed: false))
        }
        for pack in assessment.half {
            let number = assessment.order.firstIndex(of: pack) ?? 0
            plan.compacted.append(
                .init(
                    pack: pack, bytes: survey.packs[pack]?.bytes ?? 0, live: assessment.live[number],
                    rewritten: assessment.rewritten[pack] ?? 0))
        }
        for pack in survey.packs.values where pack.standing == .unnamed && !assessment.unnamed.contains(pack.id) {
            plan.young += 1
            plan.youngBytes += pack.bytes
        }
        plan.leases = assessment.leases
        for condemnation in assessment.state.condemnations.all {
            let packs = condemnation.packs.filter { !assessment.state.condemnations.deleted.contains($0) }
            guard !packs.isEmpty else { continue }
            // By the store's clock on both sides.
            let said = try ledger.entry(condemnation.sequence)?.clock.store ?? condemnation.time
            let until = said.adding(seconds: options.grace)
            for pack in packs {
                var waiting = CollectionPlan.Waiting(
                    pack: pack, bytes: survey.packs[pack]?.bytes ?? 0, condemned: condemnation.sequence, until: until)
                waiting.heldBy = assessment.holders(of: pack)
                if until <= assessment.now, waiting.heldBy.isEmpty {
                    plan.due.append(waiting)
                } else {
                    plan.waiting.append(waiting)
                }
            }
        }
        return plan
    }

    /// The removed versions that packs were written for.
    private func owners(_ assessment: Assessment) throws(DFSError) -> [PackID: [String]] {
        let candidates = Set(assessment.dead)
        var owners = [PackID: [String]]()
        for name in assessment.state.datasetNames {
            guard let dataset = assessment.state.datasets[name] else { continue }
            for number in dataset.removals.keys.sorted() {
                guard let record = dataset.version(number)?.record else { continue }
                for pack in try repository.ownPacks(record.packs, record.pack) where candidates.contains(pack) {
                    owners[pack, default: []].append("\(name)@v\(number)")
                }
            }
        }
        return owners
    }

    // MARK: Acting

    /// Condemns what nothing needs, and deletes what was condemned at least a grace ago.
    package func collect(by signer: any Signer) throws(DFSError) -> CollectionOutcome {
        var assessment = try assess()
        let first = try plan(assessment)
        var outcome = CollectionOutcome(plan: first)
        var due = first.due
        if !first.dead.isEmpty || !first.compacted.isEmpty {
            try condemn(&assessment, &outcome, by: signer)
            // What is deleted now is looked for once more, in what the ledger says now.
            if outcome.condemned != nil, options.grace == 0 || !due.isEmpty { due = try plan(try assess()).due }
        }
        // Who began to show something meanwhile is asked too.
        if !due.isEmpty, try hasNewLeases(since: assessment) { due = try plan(try assess()).due }
        try delete(due, &outcome, by: signer)
        try sweepLeases(assessment.now)
        return outcome
    }

    private func hasNewLeases(since assessment: Assessment) throws(DFSError) -> Bool {
        let known = Set(assessment.leases.map(\.key))
        return try StandingLease.all(repository.backend).contains {
            !$0.isVoid(at: assessment.now) && !known.contains($0.key)
        }
    }

    private func condemn(
        _ assessment: inout Assessment, _ outcome: inout CollectionOutcome, by signer: any Signer
    ) throws(DFSError) {
        for _ in 0..<Self.attempts {
            let tables = try compact(assessment)
            var isOutdated = false, condemned = 0
            var written = Set<PackID>()
            var places = [Digest: PackID]()
            for table in tables { for i in 0..<table.count { places[table[i].digest] = table.id } }
            let known = assessment.state.condemnations.newest
            var working = assessment
            // When this throws, the entry may stand all the same: what was written stays.
            let entry = try ledger.append(signer: signer) { state throws(DFSError) in
                isOutdated = state.condemnations.newest != known
                guard !isOutdated else { return nil }
                let packs = try working.condemnable(following: state, places)
                condemned = packs.count
                guard !packs.isEmpty else { return nil }
                written = Set(packs.values.joined())
                let event = LedgerEvent.PacksCondemned(
                    packs: Array(packs.keys), replacements: packs.filter { !$0.value.isEmpty }.mapValues(Array.init),
                    seen: state.head.sequence)
                return [LedgerEvent.packsCondemned(event).heeding(known)]
            }
            outcome.condemned = entry?.sequence
            // What nothing turned out to stand in for is garbage.
            let unused = outcome.condemned == nil ? tables : tables.filter { !written.contains($0.id) }
            remove(unused)
            guard isOutdated else {
                outcome.condemnedPacks = outcome.condemned == nil ? 0 : condemned
                let used = outcome.condemned == nil ? [] : tables.filter { written.contains($0.id) }
                outcome.written = used.count
                outcome.writtenBytes = used.reduce(0) { $0 + $1.packLength + UInt64($1.bytes.count) }
                _ = try repository.state()
                return
            }
            // Somebody else has condemned meanwhile.
            assessment = try assess()
            if assessment.dead.isEmpty, assessment.half.isEmpty, assessment.unnamed.isEmpty { return }
        }
        throw DFSError(
            .operational, "nothing could be condemned in \(repository.root)",
            cause: "others collected at the same time, \(Self.attempts) times", hint: "dfs gc")
    }

    /// Rewrites half-dead packs, and reads back what was written.
    private func compact(_ assessment: Assessment) throws(DFSError) -> [PackIndex] {
        guard !assessment.half.isEmpty else { return [] }
        let compactor = PackCompactor(store: repository.objects)
        for pack in assessment.half {
            try compactor.copy(try assessment.table(pack)) { assessment.isKept($0, in: pack) }
        }
        let tables = try compactor.finish()
        let findings = try PackChecker(store: repository.objects).check(
            tables.map(\.id), data: true, gaps: true, threads: Workers.processorCount)
        if let finding = findings.first {
            remove(tables)
            throw DFSError(
                .corrupt, "a pack that was rewritten cannot be read back, so nothing is condemned", cause: finding.what,
                hint: "dfs verify --data")
        }
        return tables
    }

    /// Best effort: what stays is garbage that the next collection finds.
    private func remove(_ tables: [PackIndex]) {
        for table in tables {
            try? repository.backend.remove(PackIndex.indexKey(table.id))
            try? repository.backend.remove(PackIndex.packKey(table.id))
        }
    }

    // MARK: Deleting

    private func delete(
        _ due: [CollectionPlan.Waiting], _ outcome: inout CollectionOutcome, by signer: any Signer
    ) throws(DFSError) {
        let condemnations = try ledger.refresh().condemnations
        let packs = due.filter { waiting in
            condemnations.condemnation(of: waiting.pack)?.sequence == waiting.condemned
                && !condemnations.deleted.contains(waiting.pack)
        }
        guard !packs.isEmpty else { return }
        // Tables go first: whoever does not know a pack yet cannot learn of it from then on, and whoever does can read it
        // until it is gone itself. A pack without a table is nobody's.
        for keys in [PackIndex.indexKey, PackIndex.packKey] { try remove(packs.map { keys($0.pack) }) }
        outcome.deletedPacks = packs.count
        outcome.deletedBytes = packs.reduce(0) { $0 + $1.bytes }
        let deleted = Set(packs.map(\.pack))
        try ledger.append(signer: signer) { state throws(DFSError) in
            let events = state.condemnations.all.compactMap { condemnation -> LedgerEvent? in
                let packs = condemnation.packs.filter {
                    deleted.contains($0) && !state.condemnations.deleted.contains($0)
                }
                if packs.isEmpty { return nil }
                return .packsDeleted(.init(condemned: condemnation.sequence, packs: packs))
            }
            return events.isEmpty ? nil : events
        }
        _ = try repository.state()
    }

    /// Removes files, and makes that durable.
    private func remove(_ keys: [String]) throws(DFSError) {
        for key in keys { try repository.backend.remove(key) }
        for folder in Set(keys.map { Files.parent(repository.backend.path($0)) }).sorted()
        where Files.isDirectory(folder) {
            try Files.synchronizeDirectory(folder)
        }
    }

    /// Removes leases that nobody has touched for weeks. A void one holds nothing in any case.
    private func sweepLeases(_ now: Timestamp) throws(DFSError) {
        for lease in try StandingLease.all(repository.backend)
        where lease.touched.adding(seconds: 14 * Lease.lifetime) < now {
            try repository.backend.remove(lease.key)
        }
    }
}
