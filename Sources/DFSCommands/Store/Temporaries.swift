import CLinux
import DFSModel
import DFSSystem
import Glibc

/// Files in the `tmp` of a store: what is being written, and what interrupted commands left.
struct Temporaries {
    let folder: String

    /// Older files are nobody's any more, wherever their writer ran.
    private static let oldAge: Int64 = 3600

    init(store: String) { folder = store + "/tmp" }

    /// Removes those that this process has open; called when it is about to end.
    func removeOwn() {
        for path in Self.open(in: "/proc/self/fd", below: folder) { unlink(path) }
    }

    struct Found {
        /// Some process writes them, or may do so.
        var inUse = 0
        var left = [[UInt8]]()
    }

    func look(now: Timestamp) throws(DFSError) -> Found {
        guard Files.isDirectory(folder) else { return Found() }
        let directory = try OwnedDescriptor.open(folder, O_RDONLY | O_DIRECTORY)
        let open = isLocal ? try Self.open(below: Files.resolved(folder) ?? folder) : nil
        let limit = now.adding(seconds: -Self.oldAge)
        var found = Found()
        for name in try DirectoryListing.names(of: directory) {
            guard let status = try FileStatus.of(name, at: directory.raw) else { continue }
            // Files that other users write cannot be seen to be open.
            let isAbandoned = status.uid == geteuid() && open.map { !$0.contains(name) } ?? false
            if status.modified < limit || isAbandoned { found.left.append(name) } else { found.inUse += 1 }
        }
        return found
    }

    /// Returns how many of them are gone.
    func remove(_ names: [[UInt8]]) throws(DFSError) -> Int {
        let directory = try OwnedDescriptor.open(folder, O_RDONLY | O_DIRECTORY)
        return names.count { name in
            // A probe of what the host can do leaves a directory.
            withCName(name) { unlinkat(directory.raw, $0, 0) } == 0
                || (try? Files.removeTree(folder + "/" + String(decoding: name, as: UTF8.self))) != nil
        }
    }

    /// Whether all writers are processes of this machine: ext4, XFS, Btrfs, tmpfs, overlay, ZFS.
    private var isLocal: Bool {
        let local: Set<UInt32> = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1]
        return local.contains(UInt32(truncatingIfNeeded: clinux_filesystem_type(folder)))
    }

    /// Names in `folder` that some process of this user has open.
    private static func open(below folder: String) throws(DFSError) -> Set<[UInt8]> {
        var names = Set<[UInt8]>()
        for entry in try DirectoryListing.names(of: "/proc") {
            guard let pid = Int32(String(decoding: entry, as: UTF8.self)) else { continue }
            for path in open(in: "/proc/\(pid)/fd", below: folder) {
                names.insert(Array(path.utf8.dropFirst(folder.utf8.count + 1)))
            }
        }
        return names
    }

    /// Paths below `folder` among the targets of a directory of descriptors; none where it may not be read.
    private static func open(in descriptors: String, below folder: String) -> [String] {
        let folder = (Files.resolved(folder) ?? folder) + "/"
        return ((try? DirectoryListing.names(of: descriptors)) ?? []).compactMap { number in
            Files.linkTarget(descriptors + "/" + String(decoding: number, as: UTF8.self))
        }.filter { $0.hasPrefix(folder) }
    }
}
