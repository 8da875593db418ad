import ArgumentParser
import DFSModel

/// What a user meant by a command that does not exist.
package enum Suggestion {
    /// The error for `word`, which is no command of `group`.
    static func unknown(
        _ word: String, after names: [String], before rest: [String], of group: any ParsableCommand.Type,
        root: any ParsableCommand.Type
    ) -> DFSError {
        let siblings = group.configuration.subcommands.map { $0._commandName }
        let what = "there is no command \((["dfs"] + names + [word]).joined(separator: " "))"
        if let near = nearest(to: word, among: siblings) {
            let line = (["dfs"] + names + [near] + rest).map(ShellText.quote).joined(separator: " ")
            return DFSError(.usage, what, cause: "did you mean \(near)?", hint: line)
        }
        if names.isEmpty, let habit = habits[word], exists(habit, under: root) {
            return DFSError(.usage, what, cause: "here it is \(habit)", hint: "dfs \(habit) --help")
        }
        return DFSError(.usage, what, hint: (["dfs"] + names + ["--help"]).joined(separator: " "))
    }

    /// What other tools call the things that are done here; looked up when no command's name is near.
    package static let habits = [
        "add": "commit", "backup": "commit", "save": "commit", "snapshot": "commit", "ingest": "commit",
        "checkout": "export", "restore": "export", "switch": "export", "get": "export", "cp": "export",
        "copy": "export", "revert": "export", "clone": "fetch", "pull": "fetch", "download": "fetch",
        "upload": "push", "sync": "push", "history": "log", "snapshots": "log", "versions": "log",
        "list": "ls", "dir": "ls", "tree": "ls", "datasets": "ls", "ps": "runs", "jobs": "runs",
        "unmount": "umount", "branch": "tag", "label": "tag", "info": "show", "inspect": "show", "stat": "show",
        "check": "verify", "fsck": "verify", "prune": "gc", "clean": "gc", "forget": "dataset rm",
        "rm": "dataset rm", "remove": "dataset rm", "delete": "dataset rm", "mv": "dataset rename",
        "rename": "dataset rename", "exec": "run", "launch": "run", "repro": "rerun", "replay": "rerun",
        "blame": "lineage", "provenance": "lineage", "search": "find", "grep": "find", "config": "doctor",
        "web": "serve", "ui": "serve", "keys": "key", "login": "key", "comment": "note", "hosts": "host",
    ]

    /// The candidate with the smallest edit distance, if that is small for the word's length; the first of equals.
    package static func nearest(to word: String, among candidates: [String]) -> String? {
        let limit = word.count <= 2 ? 0 : word.count <= 4 ? 1 : 2
        let ranked = candidates.map { (name: $0, distance: distance(word.lowercased(), $0)) }
        guard let best = ranked.min(by: { $0.distance < $1.distance }), best.distance <= limit else {
            // Two letters or fewer: only another order or case of them.
            return candidates.first { word.lowercased() == $0 || word.lowercased().sorted() == $0.sorted() }
        }
        return best.name
    }

    /// Insertions, removals, replacements and swaps of neighbours that lead from one text to the other.
    package static func distance(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a), Array(b))
        var rows = [Array(0...b.count)]
        for i in 0..<a.count {
            var row = [i + 1]
            for j in 0..<b.count {
                var best = min(rows[i][j] + (a[i] == b[j] ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[a.count][b.count]
    }

    private static func exists(_ path: String, under root: any ParsableCommand.Type) -> Bool {
        var command: any ParsableCommand.Type = root
        for name in path.split(separator: " ") {
            guard let next = command.configuration.subcommands.first(where: { $0._commandName == name }) else {
                return false
            }
            command = next
        }
        return true
    }
}
