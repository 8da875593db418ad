import CLinux
import DFSModel
import DFSSystem
import Glibc
import Synchronization

/// Is told which files are opened, or written to, through given mounts, by whatever process (fanotify(7)). Directories are not
/// watched.
///
/// Nothing waits for it: an open costs its event, and only the first of each file, as further ones are ignored until
/// the kernel drops the file's inode. What it is told comes in order, some milliseconds late.
package final class OpenWatch: Sendable {
    /// What became of what the kernel had to tell.
    package struct Ending: Sendable, Equatable {
        /// Events that the kernel could not keep, or that could not be taken from it. 0: all were seen.
        package var lost: Int
        package var reason: String?
        package var isComplete: Bool { lost == 0 }
    }

    /// Takes what is seen, on the watch's own thread.
    package protocol Receiver: AnyObject, Sendable {
        /// `path` as the watched namespace has it; valid only during the call.
        func opened(_ path: UnsafeRawBufferPointer, at time: Timestamp)
        /// Nothing more waits at this moment.
        func paused()
    }

    package enum Kind: Sendable {
        case opens
        /// Files that were open for writing and are closed. `opened` is told of those.
        case writes
    }

    private let group: OwnedDescriptor
    private let writes: Int32
    private let ending = Mutex(Ending(lost: 0, reason: nil))
    private let stopping: Mutex<OwnedDescriptor?>
    private let stopped: OwnedDescriptor
    private let ended: OwnedDescriptor
    private let running: Mutex<OwnedDescriptor?>
    /// Where open files have names. Through `/proc/self` each look-up would cost half as much again.
    private let descriptors: OwnedDescriptor

    /// Errors: `.cannotServe` with the reason why this process may not.
    package init(_ kind: Kind = .opens) throws(DFSError) {
        writes = kind == .writes ? 1 : 0
        do throws(DFSError) {
            group = OwnedDescriptor(
                adopting: try System.call("the kernel tells of no opens", fault: "fanotify") { clinux_fanotify_open() })
        } catch {
            let cause =
                switch error.errno {
                case EPERM: "fanotify needs CAP_SYS_ADMIN"
                case ENOSYS: "this kernel has no fanotify"
                default: error.cause ?? error.what
                }
            throw DFSError(.cannotServe, "opens cannot be watched", cause: cause, errno: error.errno)
        }
        descriptors = try OwnedDescriptor.open("/proc/self/fd", clinux_O_PATH | O_DIRECTORY)
        let (reading, writing) = try Pipe.make()
        stopped = reading
        stopping = Mutex(writing)
        let (endReading, endWriting) = try Pipe.make()
        ended = endReading
        running = Mutex(endWriting)
    }

    /// Watches the mount at `path` in the mount namespace of a process. Returns the path without links, as what is opened
    /// will be named.
    package func add(mountAt path: RawPath, of pid: Int32) throws(DFSError) -> [UInt8] {
        let what = "cannot watch the opens below \(path)"
        let root = try OwnedDescriptor.open("/proc/\(pid)/root", clinux_O_PATH | O_DIRECTORY)
        let place = OwnedDescriptor(
            adopting: try System.call(what) { withCName(path.bytes) { clinux_open_in_root(root.raw, $0) } })
        let name = Mounts.path(of: place)
        try System.call(what, fault: "fanotify") { clinux_fanotify_watch_mount(group.raw, name, writes) }
        return try ViewBuilder.linkTarget(Array(name.utf8), at: AT_FDCWD)
    }

    /// Wants to know no more: opens cost nothing from now on. What waits is still taken.
    package func askNoMore() {
        clinux_fanotify_forget(group.raw)
    }

    /// Whoever closes a file loses all POSIX locks that its process holds on it, also when it was opened anew, as each event's
    /// is: files that are open here (an index's lock file) must not be told of.
    private func passOverOwnFiles() {
        for name in (try? DirectoryListing.names(of: "/proc/self/fd")) ?? [] {
            guard let number = Int32(String(decoding: name, as: UTF8.self)) else { continue }
            var status = stat()
            if fstat(number, &status) == 0, status.st_mode & S_IFMT == S_IFREG {
                _ = clinux_fanotify_ignore(group.raw, number, writes)
            }
        }
    }

    /// Begins to take what the kernel has to tell. Of files that this process has open by now it is told nothing.
    package func start(_ receiver: any Receiver) throws(DFSError) {
        passOverOwnFiles()
        let isStarted = Workers.detach { [self] in
            run(receiver)
            running.withLock { $0 = nil }
        }
        if !isStarted { throw System.error(EAGAIN, "cannot start a thread") }
    }

    /// Takes what still waits, and ends. Only after `start`, and when those who were watched have ended: the mounts must
    /// hang in their namespace until then, or files have no path.
    package func finish() -> Ending {
        stopping.withLock { $0 = nil }
        var end = pollfd(fd: ended.raw, events: Int16(POLLIN), revents: 0)
        while poll(&end, 1, -1) < 0, errno == EINTR {}
        return ending.withLock { $0 }
    }

    // MARK: The thread

    /// Files that are open at once: each event comes with one.
    private static let batch = 256
    /// Microseconds in which events gather, so that this thread is not woken for each.
    private static let pause: UInt32 = 4000

    private func run(_ receiver: any Receiver) {
        let room = Self.batch * MemoryLayout<fanotify_event_metadata>.size
        let events = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 16)
        let path = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(PATH_MAX) + 1, alignment: 16)
        defer {
            events.deallocate()
            path.deallocate()
        }
        var isStopping = false
        while !isStopping {
            var waiting = [
                pollfd(fd: group.raw, events: Int16(POLLIN), revents: 0),
                pollfd(fd: stopped.raw, events: Int16(POLLIN), revents: 0),
            ]
            if poll(&waiting, 2, -1) < 0 { continue }
            isStopping = waiting[1].revents != 0
            if !isStopping { usleep(Self.pause) }
            while take(events, path, receiver) {}
            receiver.paused()
        }
    }

    /// One read of the queue; `false` when it is empty.
    private func take(
        _ events: UnsafeMutableRawBufferPointer, _ path: UnsafeMutableRawBufferPointer, _ receiver: any Receiver
    ) -> Bool {
        let count = read(group.raw, events.baseAddress, events.count)
        guard count > 0 else {
            if count == 0 || errno == EAGAIN { return false }
            if errno == EINTR { return true }
            return lose("an event could not be taken: \(String(cString: strerror(errno)))")
        }
        let (now, own) = (Clock.now(), getpid())
        var at = 0
        while at + MemoryLayout<fanotify_event_metadata>.size <= count {
            let event = events.loadUnaligned(fromByteOffset: at, as: fanotify_event_metadata.self)
            guard event.event_len >= UInt32(MemoryLayout<fanotify_event_metadata>.size) else { break }
            at += Int(event.event_len)
            guard event.fd >= 0 else {
                _ = lose("the kernel's queue overflowed")
                continue
            }
            // What this process itself opens is not the job's, and must not hide that the job opens it later.
            if event.pid != own { see(event.fd, path, now, receiver) }
            close(event.fd)
        }
        return true
    }

    private func see(
        _ file: Int32, _ path: UnsafeMutableRawBufferPointer, _ now: Timestamp, _ receiver: any Receiver
    ) {
        // Where it fails the file is told of again.
        _ = clinux_fanotify_ignore(group.raw, file, writes)
        var name: UInt64 = 0
        let length = withUnsafeMutableBytes(of: &name) { name -> Int in
            Self.write(file, into: name)
            return Int(
                clinux_readlinkat(
                    descriptors.raw, name.baseAddress?.assumingMemoryBound(to: CChar.self), path.baseAddress,
                    path.count))
        }
        guard length > 0 else {
            _ = lose("an opened file has no path: \(String(cString: strerror(errno)))")
            return
        }
        receiver.opened(UnsafeRawBufferPointer(rebasing: path[..<length]), at: now)
    }

    /// Decimal digits and a NUL; descriptors have seven at most.
    private static func write(_ number: Int32, into name: UnsafeMutableRawBufferPointer) {
        var digits = 1, rest = number
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        rest = number
        for i in (0..<digits).reversed() {
            name[i] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
    }

    /// Always `true`: there may be more behind it.
    private func lose(_ reason: String) -> Bool {
        ending.withLock {
            $0.lost += 1
            if $0.reason == nil { $0.reason = reason }
        }
        return true
    }
}
