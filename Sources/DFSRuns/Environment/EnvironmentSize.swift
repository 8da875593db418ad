import DFSSystem

/// How much an environment's part is, before any of it is read.
struct EnvironmentSize: Equatable {
    private(set) var files: UInt64 = 0
    private(set) var bytes: UInt64 = 0

    /// `path` is free of symlinks. What cannot be listed counts nothing. Stops beyond `limit` bytes.
    init(of path: String, filter: EnvironmentFilter, limit: UInt64) {
        var (files, bytes): (UInt64, UInt64) = (0, 0)
        EnvironmentWalk.files(of: path, filter: filter) { _, status in
            files += 1
            if status.kind == .file { bytes += status.size }
            return bytes <= limit
        }
        (self.files, self.bytes) = (files, bytes)
    }
}
