import DFSModel

extension LedgerState {
    /// Takes one event into the state. Returns why it contradicts the state; then nothing has changed.
    mutating func fold(_ event: LedgerEvent, index: Int, mark: EntryMark) -> String? {
        if let problem = heedProblem(of: event) { return problem }
        return switch event {
        case .storeCreated: mark.sequence == 1 && index == 0 ? nil : "the store exists already"
        case .keyAdded(let key, let owner): foldKey(key, owner: owner, mark: mark)
        case .keyApproved(let id, _): foldApproval(of: id, mark: mark)
        case .keyRevoked(let id, _): foldRevocation(of: id, mark: mark)
        case .datasetCommitted(let event): foldVersion(event, mark: mark)
        case .tagSet(let event): foldTag(event, mark: mark)
        case .tagRemoved(let event): foldTagRemoval(event, mark: mark)
        case .codeCaptured(let event): foldSnapshot(event, mark: mark)
        case .runStarted(let event): foldStart(event, mark: mark)
        case .runFinished(let event): foldEnd(event, isFound: false, mark: mark)
        case .runInterrupted(let event): foldEnd(event, isFound: true, mark: mark)
        case .runAnnotated(let event): foldAnnotation(event, mark: mark)
        case .datasetRemoved(let event): foldRemoval(event, mark: mark)
        case .packsCondemned(let event): foldCondemnation(event, mark: mark)
        case .packsDeleted(let event): foldDeletion(event, mark: mark)
        case .unknown: noteUnknown(event.kind)
        }
    }

    private mutating func noteUnknown(_ kind: String) -> String? {
        unknownKinds[kind, default: 0] += 1
        return nil
    }

    // MARK: Keys

    private mutating func foldKey(_ key: PublicKey, owner: Bool, mark: EntryMark) -> String? {
        guard keys[key.id] == nil else { return "key \(key.id.text) was added before" }
        guard !owner || mark.sequence == 1 || isOwner(mark.key) else { return "only an owner can add an owner" }
        keys[key.id] = KeyRecord(publicKey: key, owner: owner, mark: mark)
        return nil
    }

    func isOwner(_ id: KeyID) -> Bool { keys[id].map { $0.owner && !$0.isRevoked } ?? false }

    private mutating func foldApproval(of id: KeyID, mark: EntryMark) -> String? {
        guard isOwner(mark.key) else { return "only an owner can approve a key" }
        guard let key = keys[id] else { return "key \(id.text) was never added" }
        guard !key.isRevoked else { return "key \(id.text) is revoked" }
        guard !key.isVouchedFor else { return "key \(id.text) is approved already" }
        keys[id]?.approved = mark
        return nil
    }

    private mutating func foldRevocation(of id: KeyID, mark: EntryMark) -> String? {
        guard isOwner(mark.key) || mark.key == id else { return "only an owner can revoke another's key" }
        guard let key = keys[id] else { return "key \(id.text) was never added" }
        guard !key.isRevoked else { return "key \(id.text) is revoked already" }
        keys[id]?.revoked = mark
        return nil
    }

    // MARK: Datasets and tags

    private mutating func foldVersion(_ event: LedgerEvent.DatasetCommitted, mark: EntryMark) -> String? {
        let name = event.dataset
        let count = datasets[name]?.versions.count ?? 0
        if count == 0, let problem = problem(ofNewDataset: name) {
            return "\(name) cannot name a dataset: \(problem)"
        }
        guard event.version == count + 1 else { return "the next version of \(name) is v\(count + 1)" }
        if count == 0 { datasetFamilies[DatasetName.conflictKey(name), default: []].insert(name) }
        datasets[name, default: DatasetState(name: name)].versions.append(
            VersionRecord(
                number: event.version, tree: event.tree, record: event.record, text: event.text, mark: mark),
            at: mark.sequence)
        note(event.record, text: event.text, mark)
        return nil
    }

    /// Why no dataset called `name` can be made; `nil` when it can, or exists.
    package func problem(ofNewDataset name: String) -> String? {
        if datasets[name] != nil { return nil }
        return DatasetName.problem(name)
            ?? DatasetName.conflict(name, among: datasetFamilies[DatasetName.conflictKey(name)] ?? [])
    }

    private mutating func note(_ record: RecordReference, text: ObjectAddress? = nil, _ mark: EntryMark) {
        packSets.append(
            PackSetMark(packs: record.packs, pack: record.pack, text: text, sequence: mark.sequence), at: mark.sequence)
    }

    private mutating func foldTag(_ event: LedgerEvent.TagSet, mark: EntryMark) -> String? {
        if let problem = TagName.problem(event.tag) { return "\(event.tag) cannot be a tag: \(problem)" }
        switch event.target {
        case .version(let name, let number):
            guard let dataset = datasets[name], dataset.version(number) != nil else {
                return "there is no \(name)@v\(number)"
            }
            guard dataset.removal(of: number) == nil else { return "\(name)@v\(number) was removed" }
            let standing = dataset.version(tag: event.tag)?.number
            guard event.moved == (standing != nil && standing != number) else {
                return event.moved ? "the tag stood nowhere else" : "the tag stands on v\(standing ?? 0)"
            }
            datasets[name]?.tagHistory[event.tag, default: RecordList()].append(
                TagChange(version: number, text: event.text, mark: mark), at: mark.sequence)
        case .run(let id):
            guard let position = runPosition(id) else { return "there is no run \(id)" }
            guard !event.moved else { return "tags of runs do not move" }
            let change = RunTagChange(tag: event.tag, isSet: true, text: event.text, mark: mark)
            runs.update(position, at: mark.sequence) { $0.tagHistory.append(change) }
        }
        return nil
    }

    private mutating func foldTagRemoval(_ event: LedgerEvent.TagRemoved, mark: EntryMark) -> String? {
        switch event.holder {
        case .dataset(let name):
            guard datasets[name]?.version(tag: event.tag) != nil else { return "\(name) has no tag \(event.tag)" }
            datasets[name]?.tagHistory[event.tag]?.append(
                TagChange(version: nil, text: event.text, mark: mark), at: mark.sequence)
        case .run(let id):
            guard let position = runPosition(id), runs[position].tags.contains(event.tag) else {
                return "run \(id) has no tag \(event.tag)"
            }
            let change = RunTagChange(tag: event.tag, isSet: false, text: event.text, mark: mark)
            runs.update(position, at: mark.sequence) { $0.tagHistory.append(change) }
        }
        return nil
    }

    // MARK: Code and runs

    private mutating func foldSnapshot(_ event: LedgerEvent.CodeCaptured, mark: EntryMark) -> String? {
        if let problem = ProjectName.problem(event.project) {
            return "\(event.project) cannot name a project: \(problem)"
        }
        if let problem = ProjectName.snapshotProblem(event.snapshot) {
            return "\(event.snapshot) cannot name a snapshot: \(problem)"
        }
        guard projects[event.project]?.snapshot(event.snapshot) == nil else {
            return "\(event.project) has a snapshot \(event.snapshot) already"
        }
        projects[event.project, default: ProjectState(name: event.project)].snapshots.append(
            SnapshotRecord(id: event.snapshot, tree: event.tree, record: event.record, mark: mark), at: mark.sequence)
        note(event.record, mark)
        return nil
    }

    private mutating func foldStart(_ event: LedgerEvent.RunStarted, mark: EntryMark) -> String? {
        guard runPosition(event.run) == nil else { return "run \(event.run) was started before" }
        guard projects[event.project]?.snapshot(event.snapshot) != nil else {
            return "there is no snapshot \(event.snapshot) of \(event.project)"
        }
        var keys = Set<String>()
        for input in event.data {
            guard Self.isFileName(input.key) else { return "\(input.key) cannot be a key of data" }
            guard keys.insert(input.key).inserted else { return "two inputs have the key \(input.key)" }
            guard let dataset = datasets[input.dataset], let version = dataset.version(input.version),
                version.content == input.content, dataset.removal(of: input.version) == nil
            else { return "there is no \(input.dataset)@v\(input.version) with content \(input.content)" }
        }
        runs.append(
            RunRecord(
                id: event.run, project: event.project, snapshot: event.snapshot, data: event.data,
                record: event.record, text: event.text, mark: mark), at: mark.sequence)
        note(event.record, text: event.text, mark)
        return nil
    }

    private static func isFileName(_ text: String) -> Bool {
        (1...255).contains(text.utf8.count) && text != "." && text != ".."
            && !text.utf8.contains { $0 == 0 || $0 == UInt8(ascii: "/") }
    }

    /// The first word about a run's end stands, except that the launcher, known by its key, may correct another's
    /// finding that the run was dead.
    private mutating func foldEnd(_ event: LedgerEvent.RunFinished, isFound: Bool, mark: EntryMark) -> String? {
        guard let position = runPosition(event.run) else { return "there is no run \(event.run)" }
        guard !isFound || event.outcome == .interrupted else { return "its state is not interrupted" }
        let run = runs[position]
        if let end = run.end {
            guard end.isFound, !isFound, mark.key == run.key else { return "run \(event.run) has ended before" }
        }
        let end = RunEnd(
            outcome: event.outcome, outputs: event.outputs, work: event.work, logs: event.logs,
            evidence: event.evidence, record: event.record, isFound: isFound, mark: mark)
        runs.update(position, at: mark.sequence) { run in
            run.supersededEnd = run.end
            run.end = end
        }
        note(event.record, mark)
        return nil
    }

    private mutating func foldAnnotation(_ event: LedgerEvent.RunAnnotated, mark: EntryMark) -> String? {
        guard let position = runPosition(event.run) else { return "there is no run \(event.run)" }
        guard Self.isFileName(event.name) else { return "\(event.name) cannot name an annotation" }
        // What is shown at a run's path stays.
        guard event.name != RunAnnotation.environment || event.tree == nil || runs[position].environment == nil else {
            return "the environment of run \(event.run) is recorded already"
        }
        let annotation = RunAnnotation(
            name: event.name, tree: event.tree, record: event.record, text: event.text, mark: mark)
        runs.update(position, at: mark.sequence) { $0.annotations.append(annotation) }
        note(event.record, text: event.text, mark)
        return nil
    }
}
