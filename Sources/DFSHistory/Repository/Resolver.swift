import DFSLedger
import DFSModel
import DFSStore

/// Finds what a reference means in one state of a store.
package struct Resolver {
    package let repository: Repository
    package let state: LedgerState
    package let now: Timestamp
    /// Whose runs `latest` means; `nil`: anyone's.
    package var ownKey: KeyID?

    package init(repository: Repository, state: LedgerState, now: Timestamp, ownKey: KeyID? = nil) {
        self.repository = repository
        self.state = state
        self.now = now
        self.ownKey = ownKey
    }

    /// Something with content.
    package struct Resolved: Sendable {
        package enum Subject: Sendable {
            case version(dataset: String, VersionRecord)
            case snapshot(project: String, SnapshotRecord)
            case run(RunRecord)
        }
        package let subject: Subject
        /// The tree or file at the reference's path.
        package let entry: TreeEntry
        /// The reference as resolved: `faces@v3/train`.
        package let text: String

        /// The version that it is, or is in.
        package var version: (dataset: String, number: Int)? {
            if case .version(let dataset, let version) = subject { return (dataset, version.number) }
            return nil
        }
    }

    package func parse(_ text: String) throws(DFSError) -> Reference {
        try Reference.parse(text) { state.datasets[$0] != nil }
    }

    // MARK: Versions and snapshots

    /// The version that a reference to a dataset selects. One that was removed is an error that says who did it, when and
    /// why.
    package func version(_ dataset: String, _ selector: Reference.Selector) throws(DFSError) -> VersionRecord {
        let version = try anyVersion(dataset, selector)
        guard let removal = state.datasets[dataset]?.removal(of: version.number) else { return version }
        throw removed("\(dataset)@v\(version.number)", removal)
    }

    private func removed(_ what: String, _ removal: VersionRemoval) -> DFSError {
        let fields = (try? repository.text(removal.text)) ?? [:]
        let who = fields["user"]?.string.map { " by " + $0 + (fields["host"]?.string.map { " on \($0)" } ?? "") } ?? ""
        return DFSError(
            .noReference, "\(what) was removed",
            cause: "at \(removal.time.short)\(who): \(fields["reason"]?.string ?? "its reason cannot be read")",
            hint: "dfs show \(what)")
    }

    /// The version that a reference selects, removed or not. `latest` means versions that stand.
    package func anyVersion(_ dataset: String, _ selector: Reference.Selector) throws(DFSError) -> VersionRecord {
        guard let known = state.datasets[dataset] else {
            throw DFSError(
                .noReference, "there is no dataset \(dataset)", cause: nearest(dataset), hint: "dfs ls")
        }
        let hint = "dfs log \(dataset)"
        switch selector {
        case .latest(let back):
            if let version = known.latest(back: back) { return version }
            if known.standingCount == 0, let removal = known.removal(of: known.lastNumber) {
                throw removed("\(dataset)@v\(known.lastNumber)", removal)
            }
            throw DFSError(
                .noReference, "there is no \(dataset)@latest~\(back)",
                cause: "\(dataset) has \(Quantity.count(known.standingCount, "version"))", hint: hint)
        case .version(let number):
            guard let version = known.version(number) else {
                throw DFSError(
                    .noReference, "there is no \(dataset)@v\(number)",
                    cause: "\(dataset) has \(Quantity.count(known.versions.count, "version"))", hint: hint)
            }
            return version
        case .tag(let tag):
            guard let version = known.version(tag: tag) else {
                if let last = known.tagHistory[tag]?.last?.version, let version = known.version(last) { return version }
                let tags = known.tags.keys.sorted().joined(separator: ", ")
                throw DFSError(
                    .noReference, "\(dataset) has no tag \(tag)",
                    cause: tags.isEmpty ? "it has no tags" : "its tags: \(tags)",
                    hint: hint)
            }
            return version
        case .time(let text):
            let time = try TimeExpression.parse(text, now: now)
            guard let version = known.version(at: time) else {
                throw DFSError(
                    .noReference, "\(dataset) had no version at \(time.short)",
                    cause: known.versions.first.map { "v1 was recorded at \($0.time.short)" }, hint: hint)
            }
            return version
        case .digest(let digits):
            guard let prefix = DigestPrefix(digits), let version = try known.version(content: prefix) else {
                throw DFSError(.noReference, "no version of \(dataset) has the content sha256:\(digits)", hint: hint)
            }
            return version
        case .view(let name):
            throw DFSError(.noReference, "\(dataset) has no view \(name)", hint: hint)
        case .snapshot(let id):
            throw DFSError(.noReference, "\(dataset) is a dataset, \(id) names a code snapshot", hint: hint)
        }
    }

    private func nearest(_ name: String) -> String? {
        let names = state.datasetNames
        return names.isEmpty ? "the store has no datasets" : "datasets: \(names.prefix(8).joined(separator: ", "))"
    }

    package func snapshot(_ project: String, _ selector: Reference.Selector) throws(DFSError) -> SnapshotRecord {
        guard let known = state.projects[project] else {
            let names = state.projectNames.prefix(8).joined(separator: ", ")
            throw DFSError(
                .noReference, "no code of a project \(project) was recorded",
                cause: names.isEmpty ? "no code was recorded" : "projects: \(names)", hint: "dfs ls")
        }
        let found: SnapshotRecord? =
            switch selector {
            case .latest(let back): known.snapshots.dropLast(back).last
            case .snapshot(let id):
                known.snapshot(id) ?? unique(known.snapshots.filter { $0.id.hasPrefix(id) || $0.id.hasSuffix(id) })
            case .time(let text): known.snapshot(at: try TimeExpression.parse(text, now: now))
            case .digest(let digits):
                DigestPrefix(digits).flatMap { prefix in known.snapshots.first { prefix.matches($0.content.digest) } }
            default: nil
            }
        guard let found else {
            throw DFSError(.noReference, "there is no code:\(project)@\(selector)", hint: "dfs ls code:")
        }
        return found
    }

    private func unique(_ found: [SnapshotRecord]) -> SnapshotRecord? { found.count == 1 ? found[0] : nil }

    package func run(_ id: String) throws(DFSError) -> RunRecord {
        try state.run(reference: id, own: ownKey)
    }

    // MARK: Content

    /// The tree or file that a reference names.
    package func resolve(_ text: String) throws(DFSError) -> Resolved { try resolve(try parse(text)) }

    package func resolve(_ reference: Reference) throws(DFSError) -> Resolved {
        switch reference {
        case .dataset(let name, let selector, let path):
            let version = try version(name, selector)
            let root = TreeEntry.root(version.tree, modified: version.time)
            return Resolved(
                subject: .version(dataset: name, version), entry: try entry(path, root, "\(name)@v\(version.number)"),
                text: "\(name)@v\(version.number)" + suffix(path))
        case .code(let project, let selector, let path):
            let snapshot = try snapshot(project, selector)
            let root = TreeEntry.root(snapshot.tree, modified: snapshot.time)
            return Resolved(
                subject: .snapshot(project: project, snapshot),
                entry: try entry(path, root, "code:\(project)@\(snapshot.id)"),
                text: "code:\(project)@\(snapshot.id)" + suffix(path))
        case .run(let id, let path):
            return try runPart(try run(id), path)
        }
    }

    /// `run:ID/outputs/…` and its siblings. The run itself has no tree.
    private func runPart(_ run: RunRecord, _ path: Reference.Path) throws(DFSError) -> Resolved {
        guard let part = path.first.map({ NameText.display($0) }) else {
            throw DFSError(
                .noReference, "run:\(run.id) is not a tree",
                cause: "its parts are outputs, work, logs, evidence, env, code and data/KEY",
                hint: "dfs show run:\(run.id)")
        }
        var rest = Array(path.dropFirst())
        let tree: TreeReference?
        switch part {
        case "env": tree = run.environment
        case "code": tree = state.projects[run.project]?.snapshot(run.snapshot)?.tree
        case "data":
            let key = rest.first.map { NameText.encode($0) } ?? ""
            let input = run.data.first { $0.key == key }
            tree = input.flatMap { state.datasets[$0.dataset]?.version($0.version)?.tree }
            rest = Array(rest.dropFirst())
        // Of a run in progress, what it has finished.
        case "outputs" where run.end == nil: tree = run.annotation("outputs")?.tree
        default: tree = run.end?.tree(part)
        }
        guard let tree else {
            let cause = run.end == nil ? "the run has not ended, or died and was not closed" : "it recorded no \(part)"
            throw DFSError(.noReference, "run:\(run.id) has no \(part)", cause: cause, hint: "dfs show run:\(run.id)")
        }
        let root = TreeEntry.root(tree, modified: run.end?.time ?? run.time)
        return Resolved(
            subject: .run(run), entry: try entry(rest, root, "run:\(run.id)/\(part)"),
            text: "run:\(run.id)" + suffix(path))
    }

    private func entry(_ path: Reference.Path, _ root: TreeEntry, _ what: String) throws(DFSError) -> TreeEntry {
        guard let entry = try repository.reader.entry(at: path, below: root) else {
            throw DFSError(
                .noReference, "there is no \(what)\(suffix(path))",
                hint: "dfs ls \(what)\(suffix(Array(path.dropLast())))")
        }
        return entry
    }

    private func suffix(_ path: Reference.Path) -> String { path.map { "/" + NameText.display($0) }.joined() }
}
