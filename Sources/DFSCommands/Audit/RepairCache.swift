import DFSModel
import DFSSystem
import Glibc

/// The cache of the store that `dfs repair` takes from, for as long as it runs: a directory `repair-<hex>` of the host's
/// cache, locked by its user. The lock ends with the process, so those of killed ones can be told.
struct RepairCache {
    private static let prefix = Array("repair-".utf8)

    let path: String
    private let lock: OwnedDescriptor

    /// Makes one below `cache`.
    init(in cache: String) throws(DFSError) {
        path = cache + "/repair-" + Randomness.hex(bytes: 8)
        try Files.makeDirectories(path)
        lock = try OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY)
        // Where no lock can be had there, none tells that it is abandoned either.
        _ = flock(lock.raw, LOCK_EX | LOCK_NB)
    }

    func remove() { try? Files.removeTree(path) }

    /// Looks for those below `cache` that nobody uses; removes them where told so. Returns how many there are, and how many
    /// of them are gone.
    static func abandoned(in cache: String, removing: Bool) throws(DFSError) -> (found: Int, removed: Int) {
        var found = 0, removed = 0
        guard Files.isDirectory(cache) else { return (0, 0) }
        let directory = try OwnedDescriptor.open(cache, O_RDONLY | O_DIRECTORY)
        for name in try DirectoryListing.names(of: directory) where name.starts(with: prefix) {
            let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
            guard let one = try? OwnedDescriptor.open(bytes: name, flags, at: directory.raw),
                flock(one.raw, LOCK_EX | LOCK_NB) == 0
            else { continue }
            found += 1
            guard removing else { continue }
            try Files.removeTree(cache + "/" + String(decoding: name, as: UTF8.self))
            removed += 1
        }
        return (found, removed)
    }
}
