import DFSModel
import DFSSystem
import Glibc

/// Tells when something below a directory changes (inotify(7)). Used by one thread.
///
/// What a survey leaves out is not watched. Directories that appear are watched as soon as they are seen; what was made in them
/// before that is found by whoever looks at the tree after the change that this class reports. Where the kernel allows no more
/// watches, all of the tree has to be looked at from time to time: `limit` says so.
package final class TreeWatch {
    package enum Answer: Sendable { case changed, quiet, stopped }

    private let root: OwnedDescriptor
    private let events: OwnedDescriptor
    private var exclusions: ExclusionTree
    private let maximum: Int
    /// By watch descriptor: the directory's path from the root, in components.
    private var directories: [Int32: [[UInt8]]] = [:]
    /// Why not everything is watched.
    package private(set) var limit: String?

    private static let mask = UInt32(
        IN_CREATE | IN_DELETE | IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO | IN_MOVE_SELF
            | IN_DELETE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

    /// `maximum`: watch no more directories than that.
    package init(root: String, exclusions: ExclusionTree, maximum: Int = .max) throws(DFSError) {
        self.maximum = maximum
        self.root = try OwnedDescriptor.open(root, O_RDONLY | O_DIRECTORY)
        events = OwnedDescriptor(
            adopting: try System.call("cannot watch \(root)", fault: "inotify") {
                inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK))
            })
        self.exclusions = exclusions
        add([])
    }

    package var watchedDirectories: Int { directories.count }

    /// Takes another survey: what it leaves out now is no longer watched, what it takes in is.
    package func update(_ exclusions: ExclusionTree) {
        self.exclusions = exclusions
        for (watch, path) in directories where !exclusions.shouldVisit(path, isDirectory: true) {
            inotify_rm_watch(events.raw, watch)
            directories[watch] = nil
        }
        limit = nil
        add([])
    }

    /// Waits for a change, for at most `milliseconds` (negative: for ever), or until `stop` can be read.
    package func wait(milliseconds: Int, stop: Int32) throws(DFSError) -> Answer {
        let end = milliseconds < 0 ? nil : Clock.monotonic() + UInt64(milliseconds) * 1_000_000
        while true {
            let now = Clock.monotonic()
            if let end, now >= end { return .quiet }
            let left = end.map { Int32(clamping: ($0 - now) / 1_000_000 + 1) } ?? -1
            var polled = [
                pollfd(fd: events.raw, events: Int16(POLLIN), revents: 0),
                pollfd(fd: stop, events: Int16(POLLIN), revents: 0),
            ]
            try System.call("cannot wait for changes", fault: "poll") { poll(&polled, 2, left) }
            if polled[1].revents != 0 { return .stopped }
            if polled[0].revents != 0, try take() { return .changed }
        }
    }

    // MARK: Events

    /// Reads what there is; whether something of the tree is among it.
    private func take() throws(DFSError) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        var isChanged = false
        while true {
            let count = buffer.withUnsafeMutableBytes { read(events.raw, $0.baseAddress, $0.count) }
            if count <= 0 {
                guard count < 0, errno != EAGAIN, errno != EINTR else { return isChanged }
                throw System.error(errno, "cannot read changes")
            }
            buffer.withUnsafeBytes { raw in
                var offset = 0
                while offset + Self.header <= count {
                    let watch = raw.loadUnaligned(fromByteOffset: offset, as: Int32.self)
                    let mask = raw.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
                    let length = Int(raw.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self))
                    let name = raw[(offset + Self.header)..<min(count, offset + Self.header + length)].prefix {
                        $0 != 0
                    }
                    if take(watch, mask, Array(name)) { isChanged = true }
                    offset += Self.header + length
                }
            }
        }
    }

    /// Of `struct inotify_event`: watch, mask, cookie, length; the name follows.
    private static let header = 16

    private func take(_ watch: Int32, _ mask: UInt32, _ name: [UInt8]) -> Bool {
        if mask & UInt32(IN_Q_OVERFLOW) != 0 {
            // Whatever was missed: directories that came are found now, and the change is reported.
            add([])
            return true
        }
        guard let directory = directories[watch] else { return false }
        if mask & UInt32(IN_IGNORED) != 0 {
            directories[watch] = nil
            return false
        }
        guard !name.isEmpty else { return true }
        let path = directory + [name]
        let isDirectory = mask & UInt32(IN_ISDIR) != 0
        guard exclusions.shouldVisit(path, isDirectory: isDirectory) else { return false }
        if isDirectory, mask & UInt32(IN_CREATE | IN_MOVED_TO) != 0 { add(path) }
        return true
    }

    // MARK: Watches

    /// Watches a directory and all below it. What cannot be opened or is gone again is passed over.
    private func add(_ path: [[UInt8]]) {
        var pending = [path]
        while let next = pending.popLast() {
            guard limit == nil, exclusions.shouldVisit(next, isDirectory: true), let directory = open(next) else {
                continue
            }
            let watch = inotify_add_watch(events.raw, "/proc/self/fd/\(directory.raw)", Self.mask)
            guard watch >= 0 else {
                if errno == ENOSPC || errno == ENOMEM { limit = Self.sentence(directories.count) }
                continue
            }
            guard directories[watch] != nil || directories.count < maximum else {
                inotify_rm_watch(events.raw, watch)
                limit = Self.sentence(directories.count)
                continue
            }
            directories[watch] = next
            guard let listing = try? DirectoryEntries(directory) else { continue }
            for entry in listing.entries where entry.isDirectory && !entry.isGit { pending.append(next + [entry.name]) }
        }
    }

    private static func sentence(_ count: Int) -> String {
        "no more than \(count) directories can be watched (fs.inotify.max_user_watches)"
    }

    private func open(_ path: [[UInt8]]) -> OwnedDescriptor? {
        let joined = path.isEmpty ? [UInt8(ascii: ".")] : Array(path.joined(separator: [UInt8(ascii: "/")]))
        return try? OwnedDescriptor.open(bytes: joined, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: root.raw)
    }
}
