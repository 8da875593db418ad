import DFSHistory
import DFSModel
import DFSSystem
import Glibc

/// How much an environment's part is, before any of it is read.
struct EnvironmentSize: Equatable {
    private(set) var files: UInt64 = 0
    private(set) var bytes: UInt64 = 0

    /// `path` is free of symlinks. What cannot be listed counts nothing. Stops beyond `limit` bytes.
    init(of path: String, filter: EnvironmentFilter, limit: UInt64) {
        guard let status = try? FileStatus.of(path: path) else { return }
        guard status.kind == .directory else {
            count(status)
            return
        }
        guard let directory = try? OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else { return }
        walk(directory, Array(path.utf8.dropFirst()), filter, limit)
    }

    private mutating func walk(
        _ directory: OwnedDescriptor, _ path: [UInt8], _ filter: EnvironmentFilter, _ limit: UInt64
    ) {
        for name in (try? DirectoryListing.names(of: directory)) ?? [] {
            guard bytes <= limit, let status = try? FileStatus.of(name, at: directory.raw) else { continue }
            let below = path + [0x2f] + name
            guard status.kind == .directory else {
                if filter.includes(below, isDirectory: false) { count(status) }
                continue
            }
            guard filter.includes(below, isDirectory: true),
                let opened = try? OwnedDescriptor.open(
                    bytes: name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: directory.raw)
            else { continue }
            walk(opened, below, filter, limit)
        }
    }

    private mutating func count(_ status: FileStatus) {
        guard status.kind == .file || status.kind == .symlink else { return }
        files += 1
        if status.kind == .file { bytes += status.size }
    }
}
