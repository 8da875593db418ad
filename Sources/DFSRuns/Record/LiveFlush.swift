import CLinux
import DFSModel
import DFSSystem
import Glibc

/// Sends what a run in progress has written to the disk, file by file, so that a power loss takes little.
///
/// Not thread-safe. A file is synchronised when its size or time of change differs from the last pass; a directory too, for
/// the names in it. What fails is left for the next pass: the job goes on.
package struct LiveFlush {
    private let live: LiveRun
    private var seen: [String: Mark] = [:]
    /// Relative paths of regular files in `outputs` that nobody may write to any more, as of the last pass.
    package private(set) var finished = Set<[UInt8]>()
    /// How many files and directories were looked at in the last pass.
    package private(set) var looked = 0

    private struct Mark: Equatable {
        let size: UInt64
        let changed: Timestamp
    }

    package init(live: LiveRun) { self.live = live }

    /// Logs, metrics and evidence, which are few.
    package mutating func flushLogs() {
        for folder in [live.logs, live.evidence] { _ = flush(folder, [], isOutput: false, limit: 64) }
    }

    /// Outputs and working files, at most `limit` names of each.
    package mutating func flushFiles(limit: Int) {
        looked = 0
        finished = []
        _ = flush(live.outputs, [], isOutput: true, limit: limit)
        _ = flush(live.work, [], isOutput: false, limit: limit)
    }

    private mutating func flush(_ folder: String, _ relative: [UInt8], isOutput: Bool, limit: Int) -> Int {
        guard let directory = try? OwnedDescriptor.open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else { return 0 }
        return flush(directory, folder, relative, isOutput: isOutput, limit: limit)
    }

    private mutating func flush(
        _ directory: OwnedDescriptor, _ path: String, _ relative: [UInt8], isOutput: Bool, limit: Int
    ) -> Int {
        guard let names = try? DirectoryListing.names(of: directory) else { return 0 }
        var count = 0
        for name in names where count < limit {
            guard let status = try? FileStatus.of(name, at: directory.raw) else { continue }
            count += 1
            looked += 1
            let place = path + "/" + NameText.encode(name)
            let inside = relative.isEmpty ? name : relative + [0x2f] + name
            switch status.kind {
            case .file:
                if isOutput, status.mode & 0o222 == 0 { finished.insert(inside) }
                synchronize(place, status) {
                    try? OwnedDescriptor.open(bytes: name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, at: directory.raw)
                }
            case .directory:
                let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
                guard let child = try? OwnedDescriptor.open(bytes: name, flags, at: directory.raw) else { continue }
                count += flush(child, place, inside, isOutput: isOutput, limit: limit - count)
            default: break
            }
        }
        // After what is in it: a name that is on the disk has its content there.
        if let status = try? FileStatus.of(directory) { synchronize(path, status) { directory } }
        return count
    }

    private mutating func synchronize(_ path: String, _ status: FileStatus, open: () -> OwnedDescriptor?) {
        let mark = Mark(size: status.size, changed: status.changed)
        guard seen[path] != mark, let file = open() else { return }
        // What is written meanwhile changes the time once more, and is seen by the next pass.
        if fsync(file.raw) == 0 { seen[path] = mark }
    }
}
