import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel
import DFSStore

/// `dfs log`: what was recorded, newest first.
struct Log: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Show what was recorded, newest first.")

    @Argument(help: "A dataset, a version of it to begin at, or code:PROJECT (default: everything).") var name: String?
    @Option(help: "Only versions in which this path was added, modified or removed.") var path: String?
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        let resolver = try context.resolver(repository)
        guard let name else {
            guard path == nil else {
                throw DFSError(
                    .usage, "--path needs a dataset or a project", hint: "dfs log NAME --path \(path ?? "")")
            }
            try print(everything(resolver.state), repository, context)
            return .done
        }
        switch try context.reference(name, resolver.state) {
        case .dataset(let dataset, let selector, let inner):
            let start = try Self.start(resolver, dataset, selector)
            let known = resolver.state.datasets[dataset]
            let tags = Self.tagsByVersion(known)
            let items = (known?.versions ?? RecordList()).prefix(start.number).map {
                LogItem(
                    dataset: dataset, version: $0, tags: tags[$0.number] ?? [],
                    removal: known?.removal(of: $0.number))
            }
            try print(items, dataset, try path.map(Self.components) ?? inner, repository, context)
        case .code(let project, let selector, let inner):
            let last = try resolver.snapshot(project, selector)
            let known = resolver.state.projects[project]?.snapshots ?? RecordList()
            let items = known.prefix { $0.sequence <= last.sequence }.map { LogItem(project: project, snapshot: $0) }
            try print(items, "code:" + project, try path.map(Self.components) ?? inner, repository, context)
        case .run:
            guard path == nil else {
                throw DFSError(.usage, "--path needs a dataset or a project", hint: "dfs log --help")
            }
            let run = try context.run(name, resolver)
            try print(LogItem.ofRun(run), repository, context)
        }
        return .done
    }

    /// A dataset's log goes on where all its versions are removed.
    private static func start(
        _ resolver: Resolver, _ dataset: String, _ selector: Reference.Selector
    ) throws(DFSError) -> VersionRecord {
        if selector == .latest, let known = resolver.state.datasets[dataset], let last = known.version(known.lastNumber)
        {
            return last
        }
        return try resolver.anyVersion(dataset, selector)
    }

    private static func components(_ text: String) throws(DFSError) -> [[UInt8]] {
        guard !text.isEmpty else {
            throw DFSError(
                .usage, "--path is empty", cause: "it is a path inside the dataset", hint: "dfs log --help")
        }
        let parts = ArgumentText.bytes(of: text).split(separator: UInt8(ascii: "/")).map(Array.init)
        guard !parts.contains(Array("..".utf8)) else {
            throw DFSError(
                .usage, "--path \(text) goes up", cause: "it is a path inside the dataset", hint: "dfs log --help")
        }
        return parts.filter { $0 != Array(".".utf8) }
    }

    /// `items`, newest last, printed newest first; with a path, those in which it changed.
    private func print(
        _ items: [LogItem], _ name: String, _ path: [[UInt8]], _ repository: Repository, _ context: CommandContext
    ) throws(DFSError) {
        if path.isEmpty { return try print(items.reversed(), repository, context) }
        let list = context.output.list(of: PathLogRow.self)
        for (item, change) in try changes(items, name, path, repository).reversed() {
            let fields = (try? repository.text(item.text)) ?? [:]
            try list.add(PathLogRow(log: LogRow(item: item, fields: fields, reason: nil), change: change))
        }
        try list.finish()
    }

    /// The items, newest last, in which what stands at a path is not what stood there in the one before.
    private func changes(
        _ items: [LogItem], _ name: String, _ path: [[UInt8]], _ repository: Repository
    ) throws(DFSError) -> [(LogItem, TreeChange)] {
        let text = Array(path.joined(separator: [UInt8(ascii: "/")]))
        var kept = [(LogItem, TreeChange)]()
        var history = PathHistory(reader: repository.reader, path: path)
        var before: TreeEntry?
        for item in items {
            // Of a removed version nothing need be there.
            guard let tree = item.tree, item.removal == nil else { continue }
            let after = try history.entry(in: tree.tree)
            if before?.letter != after?.letter || before?.content != after?.content {
                let kind: TreeChange.Kind = before == nil ? .added : after == nil ? .removed : .modified
                kept.append((item, TreeChange(kind: kind, path: text, before: before, after: after)))
            }
            before = after
        }
        guard !kept.isEmpty else {
            throw DFSError(
                .noReference, "no such path: \(name)/\(NameText.display(text))",
                cause:
                    "none of \(Quantity.count(items.count, name.hasPrefix("code:") ? "snapshot" : "version")) has it",
                hint: "dfs ls \(name)")
        }
        return kept
    }

    /// The tags that stand on each version, sorted.
    private static func tagsByVersion(_ dataset: DatasetState?) -> [Int: [String]] {
        Dictionary(grouping: (dataset?.tags ?? [:]).sorted { $0.key < $1.key }, by: \.value)
            .mapValues { $0.map(\.key) }
    }

    private func everything(_ state: LedgerState) -> [LogItem] {
        var items = [LogItem]()
        for (name, dataset) in state.datasets {
            let tags = Self.tagsByVersion(dataset)
            items += dataset.versions.map {
                LogItem(
                    dataset: name, version: $0, tags: tags[$0.number] ?? [], removal: dataset.removal(of: $0.number))
            }
        }
        for (name, project) in state.projects {
            items += project.snapshots.map { LogItem(project: name, snapshot: $0) }
        }
        for run in state.runs { items += LogItem.ofRun(run) }
        return items.sorted { ($0.mark.sequence, $0.order) > ($1.mark.sequence, $1.order) }
    }

    private func print(
        _ items: some Sequence<LogItem>, _ repository: Repository, _ context: CommandContext
    ) throws(DFSError) {
        let list = context.output.list(of: LogRow.self)
        for item in items {
            // A text may have been removed; the entry still counts.
            let fields = (try? repository.text(item.text)) ?? [:]
            let reason = item.removal.map { (try? repository.text($0.text))?["reason"]?.string ?? "" }
            try list.add(LogRow(item: item, fields: fields, reason: reason))
        }
        try list.finish(whenEmpty: "nothing was recorded yet")
    }
}

/// One recorded thing.
private struct LogItem: Sendable {
    let kind: String
    /// The reference that shows it.
    let reference: String
    let tree: TreeReference?
    let tags: [String]
    let text: ObjectAddress?
    let mark: EntryMark
    let outcome: String?
    /// Of things that one entry recorded.
    let order: Int
    let facts: [String: JSONValue]
    let removal: VersionRemoval?

    init(dataset: String, version: VersionRecord, tags: [String], removal: VersionRemoval?) {
        self.removal = removal
        kind = "version"
        reference = "\(dataset)@v\(version.number)"
        tree = version.tree
        self.tags = tags
        text = version.text
        mark = version.mark
        outcome = nil
        order = 0
        facts = ["dataset": .string(dataset), "version": .integer(Int64(version.number))]
    }

    init(project: String, snapshot: SnapshotRecord) {
        kind = "snapshot"
        reference = "code:\(project)@\(snapshot.id)"
        tree = snapshot.tree
        tags = []
        text = nil
        mark = snapshot.mark
        outcome = nil
        order = 0
        facts = ["project": .string(project), "snapshot": .string(snapshot.id)]
        removal = nil
    }

    private init(_ run: RunRecord, _ end: RunEnd?) {
        kind = end == nil ? "run-started" : "run-ended"
        reference = "run:\(run.id.short)"
        tree = end?.outputs
        tags = run.tags
        text = end == nil ? run.text : nil
        mark = end?.mark ?? run.mark
        outcome = end?.outcome.rawValue ?? "started"
        order = end == nil ? 1 : 2
        facts = ["run": .string(run.id.description), "name": .string(RunName.of(run.id))]
        removal = nil
    }

    /// Newest first.
    static func ofRun(_ run: RunRecord) -> [LogItem] {
        (run.end.map { [LogItem(run, $0)] } ?? []) + [LogItem(run, nil)]
    }
}

private struct LogRow: Row {
    static let schema = "dfs.log/1"
    static let columns = [
        Column("time"), Column("what"), Column("files", .right), Column("size", .right), Column("tags"), Column("key"),
        Column("message"),
    ]

    let item: LogItem
    let fields: [String: JSONValue]
    /// Why it was removed; `nil`: it was not.
    let reason: String?

    var json: [String: JSONValue] {
        var members = item.facts
        members["type"] = .string(item.kind)
        members["reference"] = .string(item.reference)
        members["time"] = .string(item.mark.time.description)
        members["entry"] = .integer(Int64(clamping: item.mark.sequence))
        members["key"] = .string(item.mark.key.text)
        members["tags"] = .array(item.tags.map { .string($0) })
        if let tree = item.tree {
            members["files"] = .integer(Int64(clamping: tree.files))
            members["bytes"] = .integer(Int64(clamping: tree.bytes))
            members["content"] = .string(tree.content.digest.text)
        }
        if let outcome = item.outcome { members["status"] = .string(outcome) }
        if !fields.isEmpty { members["text"] = .object(fields) }
        if let message = fields["message"] { members["message"] = message }
        if let removal = item.removal {
            members["removed"] = [
                "time": .string(removal.time.description), "key": .string(removal.key.text),
                "entry": .integer(Int64(clamping: removal.sequence)), "reason": .string(reason ?? ""),
            ]
        }
        return members
    }

    var cells: [Cell] {
        let message = reason.map { "removed: " + $0 } ?? fields["message"]?.string ?? item.outcome ?? ""
        return [
            .time(item.mark.time), .text(item.reference, .strong), item.tree.map { .number($0.files) } ?? .text(""),
            item.tree.map { .size($0.bytes) } ?? .text(""), .text(item.tags.joined(separator: " "), .accent),
            .text(item.mark.key.short, .dim), .text(message),
        ]
    }

    var key: Cell { .text(item.reference) }
}

/// A line of `dfs log NAME --path P`: what happened to the path.
private struct PathLogRow: Row {
    static let schema = LogRow.schema
    static let columns = [
        Column("time"), Column("what"), Column("change"), Column("size", .right), Column("content"), Column("tags"),
        Column("key"), Column("message"),
    ]

    let log: LogRow
    let change: TreeChange

    private var entry: TreeEntry? { change.after ?? change.before }

    var json: [String: JSONValue] {
        log.json.merging(ChangeRow(change: change).json) { log, _ in log }
    }

    var cells: [Cell] {
        [
            .time(log.item.mark.time), log.key, .text(change.kind.rawValue, change.kind.role),
            entry.map { .size($0.size) } ?? .text(""), .text(entry?.content.digest.text ?? "", .dim),
            .text(log.item.tags.joined(separator: " "), .accent), .text(log.item.mark.key.short, .dim),
            .text(log.fields["message"]?.string ?? ""),
        ]
    }

    var key: Cell { log.key }
}
