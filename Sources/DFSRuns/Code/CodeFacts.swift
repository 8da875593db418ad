import DFSModel

/// What is known of a project's version control.
package struct CodeFacts: Sendable, Equatable {
    /// Of the captured root; `nil` outside git.
    package var repository: GitFacts?
    /// Submodules and other repositories inside, by path.
    package var nested: [NestedRepository] = []
    /// Why git could not be asked where there is a work tree: the ignore files were read instead.
    package var gitFailure: String?
    /// What a reader of the record has to know.
    package var notes: [String] = []

    package init() {}

    package struct NestedRepository: Sendable, Equatable {
        /// Relative to the captured root.
        package var path: [UInt8]
        package var isSubmodule: Bool
        package var facts: GitFacts?
        package var failure: String?
    }

    package var json: JSONValue {
        let git: JSONValue =
            if let gitFailure {
                Fact.unknown(gitFailure)
            } else if let repository {
                repository.json
            } else {
                Fact.none("no .git in the directory or above it")
            }
        return [
            "git": git,
            "nested": Fact.list(
                nested.map { inner in
                    [
                        "git": inner.facts?.json ?? Fact.unknown(inner.failure ?? "not asked"),
                        "path": .string(NameText.encode(inner.path)), "submodule": .bool(inner.isSubmodule),
                    ]
                }, orNone: "no repository inside"),
            "notes": Fact.list(notes.map { .string($0) }, orNone: "nothing to say"),
        ]
    }
}

/// What git says of one work tree.
package struct GitFacts: Sendable, Equatable {
    /// The commit checked out; `nil` before the first.
    package var head: String?
    /// The branch; `nil` when HEAD is detached.
    package var branch: String?
    /// Name and URL, without credentials, in order of names.
    package var remotes: [Remote] = []
    /// Tracked paths whose file differs from the index, deleted ones included.
    package var modified = 0
    package var deleted = 0
    /// Tracked paths whose index entry differs from HEAD.
    package var staged = 0
    package var unmerged = 0
    /// Files, not directories.
    package var untracked = 0
    /// `merge`, `rebase`, `cherry-pick`, `revert`, `bisect`: what has been begun and not ended.
    package var inProgress: [String] = []
    /// A `git worktree` beside the main one, or a submodule: `.git` is a file.
    package var isLinked = false
    /// History before some commits is not here.
    package var isShallow = false
    /// Objects are fetched when they are asked for.
    package var isPartial = false
    /// Tracked paths of which git is told not to look at the file (sparse checkouts; `update-index`). Files that stand there all
    /// the same are captured; `modified` does not count them.
    package var skippedWorktree = 0, assumedUnchanged = 0
    /// Files that `.gitattributes` gives to Git LFS, and those of them that are pointers: their content is not here.
    package var largeFiles: LargeFiles?

    package struct LargeFiles: Sendable, Equatable {
        package var files = 0
        /// Relative to the work tree.
        package var pointers = [[UInt8]]()
        /// Why git could not be asked.
        package var failure: String?
    }

    package struct Remote: Sendable, Equatable {
        package var name: String
        package var url: String
    }

    private var largeFilesJSON: JSONValue {
        guard let largeFiles else { return Fact.none("no file with attributes") }
        if let failure = largeFiles.failure { return Fact.unknown(failure) }
        let listed = largeFiles.pointers.prefix(1000).map { JSONValue.string(NameText.encode($0)) }
        return [
            "files": .integer(Int64(largeFiles.files)), "pointers": .integer(Int64(largeFiles.pointers.count)),
            "without_content": Fact.list(listed, orNone: "the content of all is here"),
        ]
    }

    package var json: JSONValue {
        [
            "assumed_unchanged": .integer(Int64(assumedUnchanged)), "lfs": largeFilesJSON, "partial": .bool(isPartial),
            "shallow": .bool(isShallow), "skip_worktree": .integer(Int64(skippedWorktree)),
            "branch": branch.map { .string($0) } ?? Fact.none("HEAD is detached"),
            "deleted": .integer(Int64(deleted)),
            "head": head.map { .string($0) } ?? Fact.none("no commit yet"),
            "in_progress": Fact.list(
                inProgress.map { .string($0) }, orNone: "no merge, rebase, cherry-pick, revert or bisect"),
            "linked": .bool(isLinked), "modified": .integer(Int64(modified)),
            "remotes": Fact.list(
                remotes.map { ["name": .string($0.name), "url": .string($0.url)] }, orNone: "no remote"),
            "staged": .integer(Int64(staged)), "unmerged": .integer(Int64(unmerged)),
            "untracked": .integer(Int64(untracked)),
        ]
    }
}
