import DFSModel

/// What a survey has gathered of one directory; paths are relative to it.
struct SurveyFindings {
    var excluded = [ExcludedPath]()
    var facts = CodeFacts()
    /// A `.dfsignore` is somewhere in it and has not been applied yet.
    var hasDFSIgnore = false

    /// Takes in what was found in the directory `prefix`.
    mutating func add(_ inner: SurveyFindings, below prefix: [UInt8]) {
        let start = prefix + [UInt8(ascii: "/")]
        for path in inner.excluded {
            excluded.append(
                ExcludedPath(
                    path: start + path.path, isDirectory: path.isDirectory, reason: path.reason, size: path.size))
        }
        for var nested in inner.facts.nested {
            nested.path = start + nested.path
            facts.nested.append(nested)
        }
        for note in inner.facts.notes where !facts.notes.contains(note) { facts.notes.append(note) }
        if inner.hasDFSIgnore { hasDFSIgnore = true }
    }

    /// The excluded paths that do not lie below another, in order of their bytes.
    func topmost() -> [ExcludedPath] {
        let directories = Set(excluded.lazy.filter(\.isDirectory).map(\.path))
        let kept = excluded.filter { candidate in
            var i = candidate.path.startIndex
            while let slash = candidate.path[i...].firstIndex(of: UInt8(ascii: "/")) {
                if directories.contains(Array(candidate.path[..<slash])) { return false }
                i = slash + 1
            }
            return true
        }
        return kept.sorted { $0.path.lexicographicallyPrecedes($1.path) }
    }
}
