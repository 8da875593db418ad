import DFSHistory
import DFSLedger
import DFSModel
import DFSSystem

/// Which dataset is meant and what it is made from, with the defaults that `commit` and `status` share.
struct SourceChoice {
    let dataset: String
    /// An absolute path, or a reference when `isReference`.
    let source: String
    let isReference: Bool

    /// `name` and `source` as given; `repository` is `nil` where there is no store yet.
    static func make(
        _ name: String?, _ source: String?, _ context: CommandContext, _ repository: Repository?
    ) throws(DFSError) -> SourceChoice {
        let dataset = if let name { name } else { try onlyDataset(context) }
        if let problem = DatasetName.problem(dataset) {
            throw DFSError(
                .usage, "\(dataset) cannot name a dataset", cause: problem, hint: "dfs commit --help")
        }
        if let source {
            let state = try repository?.state()
            if isReference(source, context, state) {
                return SourceChoice(dataset: dataset, source: source, isReference: true)
            }
            return SourceChoice(dataset: dataset, source: try context.absolute(source), isReference: false)
        }
        if let repository, let path = try lastSource(of: dataset, context, repository) {
            return SourceChoice(dataset: dataset, source: path, isReference: false)
        }
        if let path = try context.project()?.data[dataset] {
            return SourceChoice(dataset: dataset, source: path, isReference: false)
        }
        throw DFSError(
            .usage, "it is not known what \(dataset) is made from",
            cause: "no directory was given, none was used here before, and no dfs.toml names one",
            hint: "dfs commit \(ShellText.quote(dataset)) .")
    }

    private static func onlyDataset(_ context: CommandContext) throws(DFSError) -> String {
        let names = try context.project()?.data.keys.sorted() ?? []
        guard names.count == 1, let name = names.first else {
            throw DFSError(
                .usage, "no dataset was named",
                cause: names.isEmpty
                    ? "there is no dfs.toml with a [data] table here"
                    : "dfs.toml names \(names.joined(separator: ", "))",
                hint: names.first.map { "dfs commit \($0)" } ?? "dfs commit NAME .")
        }
        return name
    }

    /// A text that names a place on this machine is a path; `run:` and `code:` and known datasets are references.
    private static func isReference(_ text: String, _ context: CommandContext, _ state: LedgerState?) -> Bool {
        if ["run:", "code:", "dfs://"].contains(where: text.hasPrefix) { return true }
        if text.hasPrefix("/") || text.hasPrefix(".") { return false }
        if let path = try? context.absolute(text), Files.exists(path) { return false }
        guard let state, let reference = try? context.reference(text, state),
            case .dataset(let name, _, _) = reference
        else { return false }
        return state.datasets[name] != nil
    }

    /// The directory that the newest version recorded on this host was made from.
    static func lastSource(
        of dataset: String, _ context: CommandContext, _ repository: Repository
    ) throws(DFSError) -> String? {
        let host = context.identity()["host"]
        for version in (try repository.state().datasets[dataset]?.versions ?? RecordList()).suffix(32).reversed() {
            guard let text = try? repository.text(version.text), text["host"] == host,
                let source = text["source"]?.string, source.hasPrefix("/")
            else { continue }
            return source
        }
        return nil
    }
}
