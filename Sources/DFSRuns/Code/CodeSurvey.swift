import DFSModel
import DFSSystem

/// A path that is not captured.
package struct ExcludedPath: Sendable, Equatable {
    package enum Reason: String, Sendable, CaseIterable {
        /// By the rules git goes by, or by `.gitignore` outside git.
        case ignored
        /// By a `.dfsignore`.
        case dfsIgnored = "dfs-ignored"
        /// A repository's own data.
        case git
        case tooLarge = "too-large"
        /// A directory that may not be read.
        case unreadable
        /// Repositories within repositories, deeper than anyone has them.
        case nestedRepository = "nested-repository"
        /// What this program keeps: a store, the user's key, derived data, mounts of a store.
        case store, key, cache, mount
    }

    /// Relative to the survey's root, with slashes between components.
    package let path: [UInt8]
    package let isDirectory: Bool
    package let reason: Reason
    /// Of a file that is too large.
    package let size: UInt64?

    package init(path: [UInt8], isDirectory: Bool, reason: Reason, size: UInt64? = nil) {
        self.path = path
        self.isDirectory = isDirectory
        self.reason = reason
        self.size = size
    }

    package var isPythonCache: Bool { Self.isPythonCache(path) }

    /// Python's compiled files: `__pycache__` and `*.pyc`.
    package static func isPythonCache(_ path: [UInt8]) -> Bool {
        let name = path.split(separator: UInt8(ascii: "/")).last ?? []
        return name.elementsEqual("__pycache__".utf8) || name.suffix(4).elementsEqual(".pyc".utf8)
    }

    /// As `json` has it; `nil` where it is something else.
    package init?(json: JSONValue) {
        guard let path = (json["path"]?.string).flatMap({ NameText.decode($0) }),
            let isDirectory = json["directory"]?.bool,
            let reason = (json["reason"]?.string).flatMap({ Reason(rawValue: $0) })
        else { return nil }
        self.init(
            path: path, isDirectory: isDirectory, reason: reason,
            size: (json["size"]?.integer).flatMap { UInt64(exactly: $0) })
    }

    package var json: JSONValue {
        var members: [String: JSONValue] = [
            "directory": .bool(isDirectory), "path": .string(NameText.encode(path)), "reason": .string(reason.rawValue),
        ]
        if let size { members["size"] = .integer(Int64(clamping: size)) }
        return .object(members)
    }
}

/// What of a project directory belongs into a code snapshot, and what git says of it. Nothing is written.
package struct CodeSurvey: Sendable {
    package struct Options: Sendable {
        /// For the git command line: PATH, HOME and the like. `GIT_*` is left out save for configuration.
        package var environment: [String: String]
        /// Outside git, larger files are left out.
        package var maximumFileSize: UInt64 = 100 << 20
        /// In git, larger untracked files are left out; `nil`: none.
        package var maximumUntrackedFileSize: UInt64?
        package var gitMilliseconds = 120_000
        /// Directories that are nobody's code, wherever they lie: absolute, without symlinks.
        package var withheld: [String: ExcludedPath.Reason] = [:]

        package init(environment: [String: String]) { self.environment = environment }
    }

    /// The directory to capture, absolute and without symlinks: git's top level, or the directory given.
    package let root: String
    /// Topmost paths that are left out, in order of their bytes; `.git` is among them.
    package let excluded: [ExcludedPath]
    /// The same, for a walk.
    package let exclusions: ExclusionTree
    package let facts: CodeFacts

    /// Looks at the directory `root`. Throws when it cannot be read; a git that fails is a fact, not an error.
    package static func survey(root: String, options: Options) throws(DFSError) -> CodeSurvey {
        guard let start = Files.resolved(root), Files.isDirectory(start) else {
            throw DFSError(.operational, "cannot survey \(root)", cause: "not a directory", hint: "ls -ld \(root)")
        }
        guard let top = GitPlace.topLevel(above: start) else {
            return CodeSurvey(root: start, try PlainSurvey(options: options, depth: 0).survey(start), options)
        }
        var found = try RepositorySurvey(options: options, depth: 0).survey(top)
        if found.hasDFSIgnore { try DFSIgnoreOverlay.apply(to: &found, in: top) }
        let survey = CodeSurvey(root: top, found, options)
        // A directory that the repository around it ignores (a project below a home directory kept in git) is not
        // that repository's code.
        let inside = Array(start.utf8.dropFirst(top.utf8.count)).split(separator: UInt8(ascii: "/")).map { Array($0) }
        if survey.exclusions.shouldVisit(inside, isDirectory: true) { return survey }
        var plain = try PlainSurvey(options: options, depth: 0).survey(start)
        plain.facts.notes.append("the git work tree around it ignores it, so it is taken as a plain directory")
        return CodeSurvey(root: start, plain, options)
    }

    /// The git work tree that the directory lies in; `nil` when there is none.
    package static func workTree(of directory: String) -> String? {
        Files.resolved(directory).flatMap { GitPlace.topLevel(above: $0) }
    }

    /// What was found of a project before.
    package init(root: String, excluded: [ExcludedPath], facts: CodeFacts) {
        self.root = root
        self.excluded = excluded
        self.facts = facts
        exclusions = ExclusionTree(excluded.map(\.path))
    }

    init(root: String, _ found: SurveyFindings, _ options: Options) {
        self.root = root
        var found = found
        let prefix = root == "/" ? "/" : root + "/"
        for (path, reason) in options.withheld where path.hasPrefix(prefix) && Files.isDirectory(path) {
            let inside = Array(path.utf8.dropFirst(prefix.utf8.count))
            found.excluded.removeAll { $0.path == inside }
            found.excluded.append(ExcludedPath(path: inside, isDirectory: true, reason: reason))
        }
        excluded = found.topmost()
        exclusions = ExclusionTree(excluded.map(\.path))
        facts = found.facts
    }
}
