import DFSModel
import DFSSystem
import Glibc

/// A file that a process has mapped to execute it: a program, a library, an extension module.
struct MappedFile: Hashable {
    /// As the process sees it.
    let path: [UInt8]
    /// It was removed or replaced while it was mapped.
    let isDeleted: Bool

    init(path: [UInt8], isDeleted: Bool) {
        self.path = path
        self.isDeleted = isDeleted
    }

    /// Of one process, each once; empty when it is gone or another user's.
    static func all(of pid: Int32, proc: String = "/proc") -> Set<MappedFile> {
        guard let maps = try? Files.read("\(proc)/\(pid)/maps", limit: 1 << 28) else { return [] }
        return parse(maps)
    }

    /// proc_pid_maps(5): `address perms offset dev inode   path`, one line for each part of a file.
    static func parse(_ maps: [UInt8]) -> Set<MappedFile> {
        var found = Set<MappedFile>()
        var last: ArraySlice<UInt8> = []
        for line in maps.split(separator: 0x0a) {
            // Parts of one file follow each other.
            guard let slash = line.firstIndex(of: 0x2f), isExecutable(line), line[slash...] != last else { continue }
            last = line[slash...]
            if let file = MappedFile(field: last) { found.insert(file) }
        }
        return found
    }

    private static func isExecutable(_ line: ArraySlice<UInt8>) -> Bool {
        guard let space = line.firstIndex(of: 0x20), space + 3 < line.endIndex else { return false }
        return line[space + 3] == UInt8(ascii: "x")
    }

    private static let deleted = Array(" (deleted)".utf8), shared = Array("/SYSV".utf8)
    private static let devices = ["/dev/", "/memfd:", "/anon_hugepage"].map { Array($0.utf8) }

    private init?(field: ArraySlice<UInt8>) {
        // Memory that has a name but is no file.
        if Self.devices.contains(where: { field.starts(with: $0) }) || field.starts(with: Self.shared) { return nil }
        isDeleted = field.suffix(Self.deleted.count).elementsEqual(Self.deleted)
        path = Self.unescaped(isDeleted ? field.dropLast(Self.deleted.count) : field)
    }

    /// The kernel writes a newline in a name as `\012`, and nothing else otherwise.
    private static func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8] {
        guard field.contains(0x5c) else { return Array(field) }
        var out = [UInt8](), rest = field
        let escape = Array("\\012".utf8)
        while let first = rest.first {
            let isEscape = rest.starts(with: escape)
            out.append(isEscape ? 0x0a : first)
            rest = rest.dropFirst(isEscape ? escape.count : 1)
        }
        return out
    }
}
