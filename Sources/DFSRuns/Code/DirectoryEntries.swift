import DFSModel
import DFSSystem
import Glibc

/// The entries of a directory that a survey looks at.
struct DirectoryEntries {
    struct Entry {
        let name: [UInt8]
        let isDirectory: Bool

        var isGit: Bool { name.count == 4 && name.elementsEqual(".git".utf8) }
        var isDFSIgnore: Bool { name.count == 10 && name.elementsEqual(".dfsignore".utf8) }
    }

    private(set) var entries = [Entry]()
    private(set) var hasGit = false
    private var hasGitIgnore = false
    private(set) var hasDFSIgnore = false

    init(_ directory: OwnedDescriptor) throws(DFSError) {
        var unknown = [[UInt8]]()
        var found = [Entry]()
        try DirectoryListing.forEach(in: directory) { name, type in
            if type == UInt8(DT_UNKNOWN) {
                unknown.append(name)
            } else {
                found.append(Entry(name: name, isDirectory: type == UInt8(DT_DIR)))
            }
        }
        for name in unknown {
            guard let status = try FileStatus.of(name, at: directory.raw) else { continue }
            found.append(Entry(name: name, isDirectory: status.kind == .directory))
        }
        entries = found
        for entry in found where entry.name.first == UInt8(ascii: ".") {
            if entry.isGit { hasGit = true }
            if entry.isDirectory { continue }
            if entry.isDFSIgnore { hasDFSIgnore = true }
            if entry.name.elementsEqual(".gitignore".utf8) { hasGitIgnore = true }
        }
    }

    /// The rules of the directory's ignore files. A symlink in their place is not followed, as git does not.
    func rules(_ directory: OwnedDescriptor) throws(DFSError) -> (git: [IgnoreRules], dfs: [IgnoreRules]) {
        (
            hasGitIgnore ? try Self.read(".gitignore", directory) : [],
            hasDFSIgnore ? try Self.read(".dfsignore", directory) : []
        )
    }

    private static func read(_ name: String, _ directory: OwnedDescriptor) throws(DFSError) -> [IgnoreRules] {
        do {
            let file = try OwnedDescriptor.open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, at: directory.raw)
            guard try FileStatus.of(file).kind == .file else { return [] }
            return [IgnoreRules(try Files.read(file, what: name, limit: 1 << 26))]
        } catch {
            if error.errno == ELOOP || error.errno == ENOENT { return [] }
            throw error
        }
    }
}
