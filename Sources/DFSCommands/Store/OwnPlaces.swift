import DFSHistory
import DFSModel
import DFSRuns
import DFSSystem

/// The directories that this program keeps, which no version and no snapshot may take in: a store would record itself,
/// and everybody who reads the store would have the user's key.
struct OwnPlaces {
    let store: String
    let key: String
    private let caches: [String]
    private let mounts: [String]

    init(_ context: CommandContext, _ repository: Repository) throws(DFSError) {
        store = Self.resolved(repository.root)
        key = Self.resolved(try context.directories.configuration())
        caches = [try context.directories.cache(), try context.directories.runtime()].map(Self.resolved)
        mounts = try context.mountRegistry().all().map(\.mountpoint)
    }

    var reasons: [String: ExcludedPath.Reason] {
        var out = [String: ExcludedPath.Reason]()
        for path in mounts { out[path] = .mount }
        for path in caches { out[path] = .cache }
        out[key] = .key
        out[store] = .store
        return out
    }

    /// The system's top directories; what lies in them may well be a project.
    private static let ofSystem: Set<String> = [
        "/", "/usr", "/etc", "/var", "/bin", "/sbin", "/lib", "/lib64", "/opt", "/boot", "/dev", "/proc", "/sys",
        "/run",
    ]

    /// Refuses a directory that cannot be a project: one of this program's, or, outside git, one that holds everything.
    func checkProject(_ root: String, isRepository: Bool, home: String?) throws(DFSError) {
        let root = Self.resolved(root)
        for (place, name) in [(store, "store"), (key, "directory of your key")] where Self.isAt(root, orBelow: place) {
            throw DFSError(
                .usage, "\(root) is no project", cause: "it lies in the \(name), \(place)",
                hint: "cd PROJECT")
        }
        guard !isRepository, Self.ofSystem.contains(root) || root == home.map(Self.resolved) else { return }
        throw DFSError(
            .usage, "\(root) is no project", cause: "all of it would be captured as code",
            hint: "cd PROJECT")
    }

    /// Refuses a source of a dataset that lies in the store, or holds it or the key.
    func checkSource(_ source: String) throws(DFSError) {
        let root = Self.resolved(source)
        guard root == store || !Self.isAt(root, orBelow: store) else {
            throw DFSError(
                .refused, "\(source) lies in the store", cause: "its files are those of \(store)", hint: "dfs ls")
        }
        for (place, cause) in [(store, "holds the store itself"), (key, "holds your signing key")]
        where Self.isAt(place, orBelow: root) {
            guard place != root, try SourceFilter(root: source)?.excludes(place, below: root) == true else {
                throw refusal(source, cause, place, root)
            }
        }
    }

    private func refusal(_ source: String, _ what: String, _ place: String, _ root: String) -> DFSError {
        let inside = place.dropFirst(root == "/" ? 0 : root.count)
        let file = (root == "/" ? "" : root) + "/" + SourceFilter.name
        return DFSError(
            .refused, "\(source) \(what)", cause: "\(place) lies in it",
            hint: inside.isEmpty
                ? "dfs doctor" : "echo \(ShellText.quote(inside + "/")) >> \(ShellText.quote(file))")
    }

    private static func isAt(_ path: String, orBelow other: String) -> Bool {
        path == other || path.hasPrefix(other == "/" ? "/" : other + "/")
    }

    /// Without symlinks in what is there of it.
    private static func resolved(_ path: String) -> String {
        if let resolved = Files.resolved(path) { return resolved }
        let parent = Files.parent(path)
        guard parent != path, let name = path.split(separator: "/").last else { return path }
        let above = resolved(parent)
        return (above == "/" ? "" : above) + "/" + name
    }
}
