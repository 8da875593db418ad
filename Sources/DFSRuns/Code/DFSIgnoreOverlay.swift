import DFSModel
import DFSSystem
import Glibc

/// Applies `.dfsignore` files on top of what git ignores: they leave out more, and with `!` take paths back.
struct DFSIgnoreOverlay {
    private var stack: IgnoreStack
    private var left = [ExcludedPath]()
    private var takenBack = Set<[UInt8]>()
    private let ignored: Set<[UInt8]>

    /// `stack` holds the rules from above `top`, and stands at `top`.
    static func apply(
        to findings: inout SurveyFindings, in top: String, under stack: IgnoreStack = IgnoreStack([])
    ) throws(DFSError) {
        let ignored = findings.excluded.lazy.filter { $0.reason == .ignored }.map(\.path)
        var overlay = DFSIgnoreOverlay(stack: stack, ignored: Set(ignored))
        let tree = ExclusionTree(findings.excluded.map(\.path))
        try overlay.walk(try OwnedDescriptor.open(top, O_RDONLY | O_DIRECTORY), [], tree.root)
        findings.excluded.removeAll { overlay.takenBack.contains($0.path) }
        findings.excluded += overlay.left
        findings.hasDFSIgnore = false
    }

    private init(stack: IgnoreStack, ignored: Set<[UInt8]>) {
        self.stack = stack
        self.ignored = ignored
    }

    /// `path` ends in a slash unless it is empty.
    private mutating func walk(
        _ directory: OwnedDescriptor, _ path: [UInt8], _ node: ExclusionTree.Node?
    ) throws(DFSError) {
        let listing = try DirectoryEntries(directory)
        let before = stack
        if listing.hasDFSIgnore { stack = stack.with(try listing.rules(directory).dfs) }
        defer { stack = before }
        for entry in listing.entries where !entry.isGit { try visit(entry, directory, path, node) }
    }

    private mutating func visit(
        _ entry: DirectoryEntries.Entry, _ directory: OwnedDescriptor, _ path: [UInt8], _ node: ExclusionTree.Node?
    ) throws(DFSError) {
        let full = path + entry.name
        let decision = stack.decision(entry.name, isDirectory: entry.isDirectory)
        var below: ExclusionTree.Node?
        switch ExclusionTree.verdict(node, entry.name) {
        case .visit(let next): below = next
        case .skip:
            // The ignore file is itself recorded; a pattern with `!` takes back what git ignores.
            guard ignored.contains(full), decision == .included || entry.isDFSIgnore else { return }
            takenBack.insert(full)
        }
        if decision == .ignored {
            left.append(ExcludedPath(path: full, isDirectory: entry.isDirectory, reason: .dfsIgnored))
            return
        }
        guard entry.isDirectory else { return }
        let inner = try OwnedDescriptor.open(bytes: entry.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: directory.raw)
        stack.push(entry.name)
        defer { stack.pop() }
        try walk(inner, full + [UInt8(ascii: "/")], below)
    }
}
