import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import Glibc

/// `dfs __history STORE CACHE KEY versions|entries COUNT`: makes a store with a long history, for benchmarks. All of it goes
/// through the library, in this one process, as single commands would.
///
/// `versions`: dataset `long`, of 1,000 files in 10 directories, 10 of which change from one version to the next; the files
/// stand beside the store, in `STORE.source`. `entries`: versions, moves of tags, starts and ends of runs, all of which
/// name the same small content.
enum MakeHistory {
    static func run(arguments: [String]) -> Int32 {
        guard arguments.count == 5, let count = Int(arguments[4]), count > 0 else { return ExitCode.usage.rawValue }
        do throws(DFSError) {
            let signer = try KeyFile.load(orCreateAt: arguments[2])
            try Repository.create(at: arguments[0], signer: signer)
            let repository = try Repository.open(at: arguments[0], cacheRoot: arguments[1])
            let source = arguments[0] + ".source"
            switch arguments[3] {
            case "versions": try makeVersions(count, source, repository, signer)
            case "entries": try makeEntries(count, source, repository, signer)
            default: return ExitCode.usage.rawValue
            }
            return 0
        } catch {
            print("\(error.what): \(error.cause ?? "")")
            return ExitCode(error.code).rawValue
        }
    }

    private static let files = 1000
    private static let changed = 10

    private static func makeVersions(
        _ count: Int, _ source: String, _ repository: Repository, _ signer: any Signer
    ) throws(DFSError) {
        for directory in 0..<10 { try Files.makeDirectories("\(source)/\(directory)", mode: 0o755) }
        for version in 1...count {
            let touched = version == 1 ? 0..<files : 0..<changed
            for i in touched {
                let file = version == 1 ? i : (version * changed + i) * 37 % files
                try write("\(source)/\(file % 10)/\(file)", "file \(file) of version \(version)\n")
            }
            _ = try commit("long", source, repository, signer)
        }
    }

    /// 3,000 bytes that nothing compresses much and that no other text gives.
    private static func write(_ path: String, _ text: String) throws(DFSError) {
        let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644)
        try Files.write(Array(text.utf8) + Randomness.bytes(3000 - text.utf8.count), to: file.raw, what: path)
    }

    private static func commit(
        _ dataset: String, _ source: String, _ repository: Repository, _ signer: any Signer
    ) throws(DFSError) -> VersionRecord {
        var commit = Commit(repository: repository, dataset: dataset, source: source, options: CaptureOptions())
        commit.message = "a message of the usual length"
        return try commit.run(by: signer).version
    }

    private static func makeEntries(
        _ count: Int, _ source: String, _ repository: Repository, _ signer: any Signer
    ) throws(DFSError) {
        try Files.makeDirectories(source, mode: 0o755)
        try write(source + "/file", "content\n")
        let version = try commit("set0", source, repository, signer)
        try repository.append(by: signer) { _ in
            [.codeCaptured(.init(project: "code", snapshot: "s1", tree: version.tree, record: version.record))]
        }
        var run = RunID(.make())
        for n in 0..<count {
            let dataset = "set\(n / 5 % 50)"
            try repository.append(by: signer) { state in
                let known = state.datasets[dataset]
                switch n % 5 {
                case 0:
                    return [
                        .datasetCommitted(
                            .init(
                                dataset: dataset, version: (known?.versions.count ?? 0) + 1, tree: version.tree,
                                record: version.record, text: version.text))
                    ]
                case 1:
                    let latest = known?.latest?.number ?? 0
                    let standing = known?.version(tag: "best")?.number
                    return [
                        .tagSet(
                            .init(
                                tag: "best", target: .version(dataset: dataset, number: latest),
                                moved: standing != nil && standing != latest))
                    ]
                case 2:
                    run = RunID(.make())
                    let input = RunInput(key: "data", dataset: dataset, version: 1, content: version.content)
                    return [
                        .runStarted(
                            .init(
                                run: run, project: "code", snapshot: "s1", data: [input], record: version.record,
                                text: version.text))
                    ]
                case 3:
                    return [
                        .runFinished(
                            .init(
                                run: run, outcome: .succeeded, outputs: version.tree, work: nil, logs: version.tree,
                                record: version.record))
                    ]
                default: return [.tagSet(.init(tag: "good", target: .run(run), moved: false))]
                }
            }
        }
    }
}
