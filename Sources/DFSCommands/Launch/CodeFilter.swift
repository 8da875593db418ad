import DFSHistory
import DFSModel
import DFSRuns
import DFSSystem

/// What of a project directory a snapshot takes: what the survey says, less the places where data is mounted.
struct CodeFilter: CaptureFilter {
    let exclusions: ExclusionTree
    /// Slash-joined paths inside the project.
    let mounted: Set<[UInt8]>

    func includes(_ path: [UInt8], isDirectory: Bool) -> Bool {
        if mounted.contains(path) { return false }
        let components = path.split(separator: 0x2f).map { Array($0) }
        return exclusions.shouldVisit(components, isDirectory: isDirectory)
    }
}

/// What of a job's working files is recorded: not what the rules ignore, nor Python's caches.
struct WorkFilter: CaptureFilter {
    let exclusions: ExclusionTree?
    let rules: IgnoreStack

    /// The rules at the top of a project; git's own are in them.
    static func rules(project: String) -> IgnoreStack {
        let rules = [".gitignore", ".dfsignore"].compactMap { name in
            (try? Files.read(project + "/" + name, limit: 1 << 20)).flatMap { $0 }.map { IgnoreRules($0) }
        }
        return IgnoreStack(rules)
    }

    func includes(_ path: [UInt8], isDirectory: Bool) -> Bool {
        if ExcludedPath.isPythonCache(path) { return false }
        let components = path.split(separator: 0x2f).map { Array($0) }
        if let exclusions, !exclusions.shouldVisit(components, isDirectory: isDirectory) { return false }
        return !rules.isIgnored(path: components, isDirectory: isDirectory)
    }
}
