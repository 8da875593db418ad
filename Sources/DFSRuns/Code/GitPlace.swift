import DFSModel
import DFSSystem

/// Where a git work tree and its data are, found without git.
enum GitPlace {
    /// The nearest directory at or above `directory` with an entry `.git`.
    static func topLevel(above directory: String) -> String? {
        var here = directory
        while true {
            let entry = here == "/" ? "/.git" : here + "/.git"
            if let status = (try? FileStatus.of(path: entry, following: true)) ?? nil,
                status.kind == .directory || status.kind == .file
            {
                return here
            }
            if here == "/" { return nil }
            here = Files.parent(here)
        }
    }

    /// The directory with the work tree's HEAD and index: `.git`, or what a file `.git` names.
    static func dataDirectory(of top: String) -> String {
        let entry = top + "/.git"
        guard !Files.isDirectory(entry), let text = Fact.file(entry), text.hasPrefix("gitdir:") else { return entry }
        return Files.absolute(String(Fact.trimmed(text.dropFirst(7))), from: top)
    }

    /// The data that all work trees of a repository share.
    static func commonDirectory(of data: String) -> String {
        Fact.file(data + "/commondir").map { Files.absolute($0, from: data) } ?? data
    }

    static func isLinked(_ top: String) -> Bool { !Files.isDirectory(top + "/.git") }

    static func inProgress(_ data: String) -> [String] {
        let marks = [
            ("BISECT_LOG", "bisect"), ("CHERRY_PICK_HEAD", "cherry-pick"), ("MERGE_HEAD", "merge"),
            ("rebase-apply", "rebase"), ("rebase-merge", "rebase"), ("REVERT_HEAD", "revert"),
        ]
        var out = [String]()
        for (file, name) in marks where Files.exists(data + "/" + file) && !out.contains(name) { out.append(name) }
        return out
    }
}
