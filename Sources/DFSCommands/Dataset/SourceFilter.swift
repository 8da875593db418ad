import DFSHistory
import DFSModel
import DFSRuns
import DFSSystem

/// What `.dfsignore` in the root of a dataset's source leaves out. The file itself is recorded.
struct SourceFilter: CaptureFilter {
    static let name = ".dfsignore"

    private let rules: IgnoreRules

    /// `nil` when the source has no such file.
    init?(root: String) throws(DFSError) {
        guard let bytes = try Files.read(root + "/" + Self.name, limit: 1 << 24) else { return nil }
        rules = IgnoreRules(bytes)
        if rules.isEmpty { return nil }
    }

    func includes(_ path: [UInt8], isDirectory: Bool) -> Bool {
        if path.elementsEqual(Self.name.utf8) { return true }
        // The walk has not entered what is ignored, so only the last component is in question.
        let parts = path.split(separator: UInt8(ascii: "/"))
        var stack = IgnoreStack([rules])
        for part in parts.dropLast() { stack.push(Array(part)) }
        return !stack.isIgnored(Array(parts.last ?? []), isDirectory: isDirectory)
    }
}
