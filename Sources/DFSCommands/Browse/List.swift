import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel
import DFSStore

/// `dfs ls`: the datasets, or what a version, snapshot or run holds.
struct List: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the datasets, or what a version, a code snapshot or a run holds.")

    @Argument(help: "A reference; code: lists the code snapshots.") var reference: String?
    @Flag(name: .customShort("l"), help: "Also modes, times and digests.") var long = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        let resolver = try context.resolver(repository)
        guard let reference else {
            try datasets(resolver.state, context)
            return .done
        }
        if reference == "code:" {
            try snapshots(resolver.state, context)
        } else if let run = try context.run(named: reference, resolver) {
            try parts(
                of: run, ["code", "outputs", "work", "logs", "evidence", "env"] + run.data.map { "data/" + $0.key },
                resolver, context)
        } else if let run = try context.run(dataOf: reference, resolver) {
            try parts(of: run, run.data.map { "data/" + $0.key }, resolver, context)
        } else {
            try entries(of: try context.resolve(reference, resolver).resolved.entry, repository, context)
        }
        return .done
    }

    private func datasets(_ state: LedgerState, _ context: CommandContext) throws(DFSError) {
        let rows = state.datasetNames.compactMap { name in
            state.datasets[name].flatMap { dataset in dataset.latest.map { DatasetRow(dataset: dataset, latest: $0) } }
        }
        try context.output.list(rows, whenEmpty: "no datasets yet; dfs commit NAME DIRECTORY records the first")
    }

    private func snapshots(_ state: LedgerState, _ context: CommandContext) throws(DFSError) {
        let rows = state.projectNames.flatMap { name in
            (state.projects[name]?.snapshots ?? RecordList()).map { SnapshotRow(project: name, snapshot: $0) }
        }
        try context.output.list(rows, whenEmpty: "no code was recorded yet")
    }

    private func parts(
        of run: RunRecord, _ names: [String], _ resolver: Resolver, _ context: CommandContext
    ) throws(DFSError) {
        var rows = [PartRow]()
        for name in names.sorted() {
            guard let resolved = try? resolver.resolve("run:\(run.id)/\(name)") else { continue }
            rows.append(PartRow(run: run.id, part: name, entry: resolved.entry))
        }
        try context.output.list(rows, whenEmpty: "it took no data")
    }

    private func entries(_ entry: TreeEntry, _ name: [UInt8], _ context: CommandContext) throws(DFSError) {
        let facts = EntryFacts(path: name, entry: entry)
        if long {
            try context.output.list([LongEntryRow(facts: facts)])
        } else {
            try context.output.list([EntryRow(facts: facts)])
        }
    }

    private func entries(
        of root: TreeEntry, _ repository: Repository, _ context: CommandContext
    ) throws(DFSError) {
        guard root.kind == .directory, let address = root.address else {
            return try entries(root, root.name, context)
        }
        if long {
            let list = context.output.list(of: LongEntryRow.self)
            try repository.reader.forEach(in: address) { entry throws(DFSError) in
                try list.add(LongEntryRow(facts: EntryFacts(path: entry.name, entry: entry)))
                return true
            }
            try list.finish(whenEmpty: "it is empty")
        } else {
            let list = context.output.list(of: EntryRow.self)
            try repository.reader.forEach(in: address) { entry throws(DFSError) in
                try list.add(EntryRow(facts: EntryFacts(path: entry.name, entry: entry)))
                return true
            }
            try list.finish(whenEmpty: "it is empty")
        }
    }
}

private struct DatasetRow: Row {
    static let schema = "dfs.ls/1"
    static let columns = [
        Column("dataset"), Column("latest"), Column("files", .right), Column("size", .right), Column("recorded"),
        Column("tags"),
    ]

    let dataset: DatasetState
    let latest: VersionRecord

    var json: [String: JSONValue] {
        [
            "type": "dataset", "dataset": .string(dataset.name), "version": .integer(Int64(latest.number)),
            "files": .integer(Int64(clamping: latest.tree.files)),
            "bytes": .integer(Int64(clamping: latest.tree.bytes)),
            "content": .string(latest.content.digest.text), "time": .string(latest.time.description),
            "tags": .object(dataset.tags.mapValues { .integer(Int64($0)) }),
        ]
    }

    var cells: [Cell] {
        let tags = dataset.tags.sorted { $0.key < $1.key }.map { "\($0.key)=v\($0.value)" }
        return [
            .text(dataset.name, .strong), .text("v\(latest.number)"), .number(latest.tree.files),
            .size(latest.tree.bytes), .time(latest.time), .text(tags.joined(separator: " ")),
        ]
    }
}

private struct SnapshotRow: Row {
    static let schema = "dfs.ls/1"
    static let columns = [
        Column("snapshot"), Column("files", .right), Column("size", .right), Column("recorded"), Column("content"),
    ]

    let project: String
    let snapshot: SnapshotRecord

    var json: [String: JSONValue] {
        [
            "type": "snapshot", "project": .string(project), "snapshot": .string(snapshot.id),
            "files": .integer(Int64(clamping: snapshot.tree.files)),
            "bytes": .integer(Int64(clamping: snapshot.tree.bytes)),
            "content": .string(snapshot.content.digest.text), "time": .string(snapshot.time.description),
        ]
    }

    var cells: [Cell] {
        [
            .text("code:\(project)@\(snapshot.id)", .strong), .number(snapshot.tree.files), .size(snapshot.tree.bytes),
            .time(snapshot.time), .text(snapshot.content.digest.short, .dim),
        ]
    }
}

private struct PartRow: Row {
    static let schema = "dfs.ls/1"
    static let columns = [Column("part"), Column("files", .right), Column("size", .right), Column("content")]

    let run: RunID
    let part: String
    let entry: TreeEntry

    var json: [String: JSONValue] {
        [
            "type": "part", "run": .string(run.description), "part": .string(part),
            "files": .integer(Int64(clamping: entry.files)), "bytes": .integer(Int64(clamping: entry.size)),
            "content": .string(entry.content.digest.text),
        ]
    }

    var cells: [Cell] {
        [
            .text("run:\(run)/\(part)", .strong), .number(entry.files), .size(entry.size),
            .text(entry.content.digest.short, .dim),
        ]
    }
}
