import DFSModel
import DFSSystem
import Glibc

/// Walks a directory that is not git's and finds what its ignore files and the size limit leave out.
struct PlainSurvey {
    let options: CodeSurvey.Options
    let depth: Int

    /// `rules` stand below those of the directory's own files.
    func survey(_ top: String, rules: [IgnoreRules] = []) throws(DFSError) -> SurveyFindings {
        var walk = Walk(options: options, depth: depth, top: top, all: IgnoreStack(rules), dfs: IgnoreStack([]))
        let directory = try OwnedDescriptor.open(top, O_RDONLY | O_DIRECTORY)
        try walk.directory(directory, [], isTop: true, name: nil)
        return walk.findings
    }

    private struct Walk {
        let options: CodeSurvey.Options
        let depth: Int
        let top: String
        /// All rules, and those of `.dfsignore` alone: only the latter hold inside a repository.
        var all, dfs: IgnoreStack
        var findings = SurveyFindings()

        /// `path` is the directory's own, with a slash at the end unless it is the top.
        mutating func directory(
            _ directory: OwnedDescriptor, _ path: [UInt8], isTop: Bool, name: [UInt8]?
        ) throws(DFSError) {
            let listing = try DirectoryEntries(directory)
            // Git can be asked about paths that are text; elsewhere the ignore files speak.
            if !isTop, listing.hasGit, let text = String(validating: path.dropLast(), as: UTF8.self) {
                return try repository(Array(path.dropLast()), text, name)
            }
            let own = try listing.rules(directory)
            if let name {
                all.push(name, own.git + own.dfs)
                dfs.push(name, own.dfs)
            } else {
                all = all.with(own.git + own.dfs)
                dfs = dfs.with(own.dfs)
            }
            defer {
                if name != nil {
                    all.pop()
                    dfs.pop()
                }
            }
            for entry in listing.entries { try visit(entry, directory, path) }
        }

        private mutating func visit(
            _ entry: DirectoryEntries.Entry, _ directory: OwnedDescriptor, _ path: [UInt8]
        ) throws(DFSError) {
            let full = path + entry.name
            if entry.isGit { return leaveOut(full, entry.isDirectory, .git) }
            if dfs.isIgnored(entry.name, isDirectory: entry.isDirectory) {
                return leaveOut(full, entry.isDirectory, .dfsIgnored)
            }
            // The ignore file is itself recorded, whatever it says.
            if !entry.isDFSIgnore, all.isIgnored(entry.name, isDirectory: entry.isDirectory) {
                return leaveOut(full, entry.isDirectory, .ignored)
            }
            if entry.isDirectory {
                if isWithheld(full) { return }
                guard let inner = try open(entry.name, at: directory, full) else { return }
                try self.directory(inner, full + [UInt8(ascii: "/")], isTop: false, name: entry.name)
            } else if let status = try FileStatus.of(entry.name, at: directory.raw), status.kind == .file,
                status.size > options.maximumFileSize
            {
                leaveOut(full, false, .tooLarge, size: status.size)
            }
        }

        /// Not entered: it may be as large as all of history. The survey adds it to what is left out.
        private func isWithheld(_ path: [UInt8]) -> Bool {
            guard !options.withheld.isEmpty, let text = String(validating: path, as: UTF8.self) else { return false }
            return options.withheld[(top == "/" ? "" : top) + "/" + text] != nil
        }

        private mutating func open(
            _ name: [UInt8], at directory: OwnedDescriptor, _ full: [UInt8]
        ) throws(DFSError) -> OwnedDescriptor? {
            do {
                return try OwnedDescriptor.open(bytes: name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: directory.raw)
            } catch {
                guard error.errno == EACCES || error.errno == EPERM else { throw error }
                leaveOut(full, true, .unreadable)
                return nil
            }
        }

        private mutating func leaveOut(
            _ path: [UInt8], _ isDirectory: Bool, _ reason: ExcludedPath.Reason, size: UInt64? = nil
        ) {
            findings.excluded.append(
                ExcludedPath(path: path, isDirectory: isDirectory, reason: reason, size: size))
        }

        private mutating func repository(_ path: [UInt8], _ text: String, _ name: [UInt8]?) throws(DFSError) {
            var entry = CodeFacts.NestedRepository(path: path, isSubmodule: false)
            defer { findings.facts.nested.append(entry) }
            let inner = top + "/" + text
            var found = try RepositorySurvey(options: options, depth: depth + 1).survey(inner)
            var stack = dfs
            if let name { stack.push(name) }
            if found.hasDFSIgnore || !dfs.isEmpty { try DFSIgnoreOverlay.apply(to: &found, in: inner, under: stack) }
            entry.facts = found.facts.repository
            entry.failure = found.facts.gitFailure
            findings.add(found, below: path)
        }
    }
}
