import CLinux
import DFSModel
import DFSSystem
import Glibc

/// Sends what a run in progress has written to the disk, file by file, so that a power loss takes little.
///
/// Not thread-safe. A file is synchronised when its size or time of change differs from the last pass; a directory too, for
/// the names in it. What fails is left for the next pass: the job goes on.
package struct LiveFlush {
    /// What a file was when it was looked at.
    package struct Mark: Sendable, Equatable {
        let inode: UInt64
        let size: UInt64
        let changed: Timestamp
    }

    private var seen: [String: Mark] = [:]
    /// Files that nobody may write to and that have rested for a while, by paths relative to the last folder of outputs.
    package private(set) var finished: [[UInt8]: Mark] = [:]
    /// Nanoseconds that the last pass spent on looking, not on writing.
    package private(set) var lookingTime: UInt64 = 0
    private var writingTime: UInt64 = 0

    /// Seconds without a change after which a read-only file is finished: `cp` makes files read-only before it fills them.
    private static let rest: Int64 = 2

    package init() {}

    /// Files below folders, at most `limit` names of each. In the one called `outputs`, finished files are noted.
    package mutating func flush(_ folders: [String], outputs: String? = nil, limit: Int = .max) {
        let begun = Clock.monotonic()
        writingTime = 0
        finished = [:]
        for folder in folders {
            guard let directory = try? OwnedDescriptor.open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else {
                continue
            }
            _ = flush(directory, folder, [], isOutput: folder == outputs, limit: limit)
        }
        lookingTime = Clock.monotonic() - begun - writingTime
    }

    private mutating func flush(
        _ directory: OwnedDescriptor, _ path: String, _ relative: [UInt8], isOutput: Bool, limit: Int
    ) -> Int {
        guard let names = try? DirectoryListing.names(of: directory) else { return 0 }
        var count = 0
        for name in names where count < limit {
            guard let status = try? FileStatus.of(name, at: directory.raw) else { continue }
            count += 1
            let place = path + "/" + NameText.encode(name)
            let inside = relative.isEmpty ? name : relative + [0x2f] + name
            switch status.kind {
            case .file:
                if isOutput, Self.isFinished(status) { finished[inside] = Self.mark(status) }
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

    private static func isFinished(_ status: FileStatus) -> Bool {
        status.mode & 0o222 == 0 && status.mode & 0o400 != 0 && status.changed.adding(seconds: rest) < Clock.now()
    }

    private static func mark(_ status: FileStatus) -> Mark {
        Mark(inode: status.inode, size: status.size, changed: status.changed)
    }

    private mutating func synchronize(_ path: String, _ status: FileStatus, open: () -> OwnedDescriptor?) {
        let mark = Self.mark(status)
        guard seen[path] != mark, let file = open() else { return }
        let begun = Clock.monotonic()
        // What is written meanwhile changes the time once more, and is seen by the next pass.
        if fsync(file.raw) == 0 { seen[path] = mark }
        writingTime += Clock.monotonic() - begun
    }
}
