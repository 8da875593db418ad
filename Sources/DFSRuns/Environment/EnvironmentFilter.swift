import DFSHistory
import DFSModel

/// What of a machine's files belongs to an environment: the parts, and the directories that lead to them. Paths are relative
/// to `/`.
struct EnvironmentFilter: CaptureFilter {
    private let roots: [[UInt8]]
    private let ancestors: Set<[UInt8]>
    private let leftOut: Set<[UInt8]>

    /// `paths` are absolute and free of symlinks, and so are `leftOut`.
    init(paths: [String], leftOut: [String]) {
        roots = paths.map { Array($0.utf8.dropFirst()) }
        self.leftOut = Set(leftOut.map { Array($0.utf8.dropFirst()) })
        var ancestors = Set<[UInt8]>()
        for root in roots {
            for i in root.indices where root[i] == 0x2f { ancestors.insert(Array(root[..<i])) }
        }
        self.ancestors = ancestors
    }

    func includes(_ path: [UInt8], isDirectory: Bool) -> Bool {
        if ancestors.contains(path) { return isDirectory }
        for root in roots where path.starts(with: root) {
            if path.count == root.count { return true }
            guard path[root.count] == 0x2f else { continue }
            return !leftOut.contains(path) && !(isDirectory && Self.isCache(path))
        }
        return false
    }

    /// Compiled modules are made from their sources whenever they are missing: they are no part of what a program is, and
    /// they change while it runs.
    static func isCache(_ path: [UInt8]) -> Bool { path.suffix(cache.count).elementsEqual(cache) }

    private static let cache = Array("/__pycache__".utf8)
}
