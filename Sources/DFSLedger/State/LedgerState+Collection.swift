import DFSModel

extension LedgerState {
    /// Why a recording event cannot follow: its writer did not know the newest condemnation, or its own pack is condemned.
    func heedProblem(of event: LedgerEvent) -> String? {
        guard let heeded = event.heeded else { return nil }
        guard heeded == condemnations.newest else {
            return "it heeds the condemnation of entry \(heeded), the newest is entry \(condemnations.newest)"
        }
        guard let pack = event.pack, condemnations.contains(pack) else { return nil }
        return "its pack \(pack) is condemned"
    }

    mutating func foldRemoval(_ event: LedgerEvent.DatasetRemoved, mark: EntryMark) -> String? {
        guard let dataset = datasets[event.dataset] else { return "there is no dataset \(event.dataset)" }
        let numbers: [Int]
        if let version = event.version {
            guard dataset.version(version) != nil else { return "there is no \(event.dataset)@v\(version)" }
            guard dataset.removals[version] == nil else { return "\(event.dataset)@v\(version) is removed already" }
            numbers = [version]
        } else {
            numbers = (1...max(1, dataset.lastNumber)).filter { dataset.removals[$0] == nil }
            guard !numbers.isEmpty else { return "\(event.dataset) is removed already" }
        }
        let removal = VersionRemoval(isWhole: event.version == nil, text: event.text, mark: mark)
        for number in numbers { datasets[event.dataset]?.removals[number] = removal }
        packSets.append(
            PackSetMark(packs: event.packs, pack: event.pack, text: event.text, sequence: mark.sequence),
            at: mark.sequence)
        return nil
    }

    mutating func foldCondemnation(_ event: LedgerEvent.PacksCondemned, mark: EntryMark) -> String? {
        guard event.seen < mark.sequence else { return "it has seen entries that come after it" }
        let packs = Set(event.packs)
        guard !packs.isEmpty, packs.count == event.packs.count else {
            return "its list of packs is empty or repeats one"
        }
        if let pack = event.packs.first(where: { condemnations.contains($0) }) {
            return "pack \(pack) is condemned already"
        }
        for (pack, replacements) in event.replacements {
            guard packs.contains(pack) else { return "it replaces pack \(pack), which it does not condemn" }
            if let bad = replacements.first(where: { packs.contains($0) || condemnations.contains($0) }) {
                return "pack \(bad), which is condemned, replaces none"
            }
        }
        condemnations.append(Condemnation(packs: event.packs, replacements: event.replacements, mark: mark))
        return nil
    }

    mutating func foldDeletion(_ event: LedgerEvent.PacksDeleted, mark: EntryMark) -> String? {
        guard event.condemned < mark.sequence else { return "it names an entry that comes after it" }
        let packs = Set(event.packs)
        guard !packs.isEmpty, packs.count == event.packs.count else {
            return "its list of packs is empty or repeats one"
        }
        for pack in event.packs {
            guard condemnations.condemnation(of: pack)?.sequence == event.condemned else {
                return "entry \(event.condemned) does not condemn pack \(pack)"
            }
            guard !condemnations.deleted.contains(pack) else { return "pack \(pack) is deleted already" }
        }
        condemnations.append(Deletion(condemned: event.condemned, packs: event.packs, mark: mark))
        return nil
    }
}

extension DatasetState {
    /// The number of the version recorded last, removed or not; 0: none.
    package var lastNumber: Int { versions.count }

    /// The latest version that is not removed.
    package var latest: VersionRecord? { latest(back: 0) }

    /// The version so many before the latest, removed ones not counted.
    package func latest(back: Int) -> VersionRecord? {
        var left = back
        for number in stride(from: lastNumber, to: 0, by: -1) where removals[number] == nil {
            if left == 0 { return version(number) }
            left -= 1
        }
        return nil
    }

    /// How many versions are not removed.
    package var standingCount: Int { lastNumber - removals.count }

    /// How a version was removed; `nil`: it stands.
    package func removal(of version: Int) -> VersionRemoval? { removals[version] }
}

extension LedgerEvent {
    /// The sequence of the newest condemnation that the writer of a recording event knew; `nil` of other events.
    var heeded: UInt64? {
        switch self {
        case .datasetCommitted(let event): event.record.heeded
        case .codeCaptured(let event): event.record.heeded
        case .runStarted(let event): event.record.heeded
        case .runFinished(let event), .runInterrupted(let event): event.record.heeded
        case .runAnnotated(let event): event.record.heeded
        case .datasetRemoved(let event): event.heeded
        case .packsCondemned(let event): event.heeded
        default: nil
        }
    }

    /// The metadata pack that was written with a recording event.
    var pack: PackID? {
        switch self {
        case .datasetCommitted(let event): event.record.pack
        case .codeCaptured(let event): event.record.pack
        case .runStarted(let event): event.record.pack
        case .runFinished(let event), .runInterrupted(let event): event.record.pack
        case .runAnnotated(let event): event.record.pack
        case .datasetRemoved(let event): event.pack
        default: nil
        }
    }

    /// The event as one whose writer heeds all condemnations up to the entry `sequence`; other than recording events are as
    /// they were.
    package func heeding(_ sequence: UInt64) -> LedgerEvent {
        switch self {
        case .datasetCommitted(let it):
            .datasetCommitted(
                .init(
                    dataset: it.dataset, version: it.version, tree: it.tree, record: it.record.heeding(sequence),
                    text: it.text))
        case .codeCaptured(let it):
            .codeCaptured(
                .init(project: it.project, snapshot: it.snapshot, tree: it.tree, record: it.record.heeding(sequence)))
        case .runStarted(let it):
            .runStarted(
                .init(
                    run: it.run, project: it.project, snapshot: it.snapshot, data: it.data,
                    record: it.record.heeding(sequence), text: it.text))
        case .runFinished(let it): .runFinished(it.heeding(sequence))
        case .runInterrupted(let it): .runInterrupted(it.heeding(sequence))
        case .runAnnotated(let it):
            .runAnnotated(
                .init(run: it.run, name: it.name, tree: it.tree, record: it.record.heeding(sequence), text: it.text))
        case .datasetRemoved(let it):
            .datasetRemoved(
                .init(
                    dataset: it.dataset, version: it.version, text: it.text, packs: it.packs, pack: it.pack,
                    heeded: sequence))
        case .packsCondemned(let it):
            .packsCondemned(
                .init(packs: it.packs, replacements: it.replacements, seen: it.seen, heeded: sequence))
        default: self
        }
    }
}

extension LedgerEvent.RunFinished {
    fileprivate func heeding(_ sequence: UInt64) -> LedgerEvent.RunFinished {
        .init(
            run: run, outcome: outcome, outputs: outputs, work: work, logs: logs, evidence: evidence,
            record: record.heeding(sequence))
    }
}

extension RecordReference {
    fileprivate func heeding(_ sequence: UInt64) -> RecordReference {
        RecordReference(record: record, packs: packs, pack: pack, heeded: sequence)
    }
}

extension LedgerState {
    /// Whether the content of a version is kept: it is not removed, or a run read it.
    package func keeps(_ version: VersionRecord, of dataset: String) -> Bool {
        guard datasets[dataset]?.removal(of: version.number) != nil else { return true }
        return isRead(version.number, of: dataset)
    }

    /// Whether a run read a version.
    package func isRead(_ version: Int, of dataset: String) -> Bool {
        runs.contains { run in run.data.contains { $0.dataset == dataset && $0.version == version } }
    }
}

extension LedgerState {
    /// The numbers of the versions that runs read, by dataset.
    package var versionsReadByRuns: [String: Set<Int>] {
        var read = [String: Set<Int>]()
        for run in runs { for input in run.data { read[input.dataset, default: []].insert(input.version) } }
        return read
    }
}
