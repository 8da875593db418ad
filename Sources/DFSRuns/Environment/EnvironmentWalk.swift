import DFSHistory
import DFSModel
import DFSSystem
import Glibc

/// Goes through the files of an environment's part without reading them.
enum EnvironmentWalk {
    /// Calls `see` with each file and symlink that belongs to the part, until it says `false`. `path` is absolute and free of
    /// symlinks; what `see` gets is relative to `/`. What cannot be listed is passed over.
    static func files(
        of path: String, filter: EnvironmentFilter, see: (_ path: [UInt8], _ status: FileStatus) -> Bool
    ) {
        guard let status = try? FileStatus.of(path: path) else { return }
        let relative = Array(path.utf8.dropFirst())
        guard status.kind == .directory else {
            if isFile(status) { _ = see(relative, status) }
            return
        }
        guard let directory = try? OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else { return }
        _ = walk(directory, relative, filter, see)
    }

    private static func isFile(_ status: FileStatus) -> Bool { status.kind == .file || status.kind == .symlink }

    private static func walk(
        _ directory: OwnedDescriptor, _ path: [UInt8], _ filter: EnvironmentFilter,
        _ see: ([UInt8], FileStatus) -> Bool
    ) -> Bool {
        for name in (try? DirectoryListing.names(of: directory)) ?? [] {
            guard let status = try? FileStatus.of(name, at: directory.raw) else { continue }
            let below = path + [0x2f] + name
            guard status.kind == .directory else {
                if isFile(status), filter.includes(below, isDirectory: false), !see(below, status) { return false }
                continue
            }
            guard filter.includes(below, isDirectory: true),
                let opened = try? OwnedDescriptor.open(
                    bytes: name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: directory.raw)
            else { continue }
            if !walk(opened, below, filter, see) { return false }
        }
        return true
    }
}
