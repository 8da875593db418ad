import CFuse3
import DFSModel
import DFSSystem
import DFSVirtual
import Glibc
import Synchronization

/// Gives the kernel small files before they are asked for: when several of a directory were, the others follow.
///
/// A request costs some 50 µs, most of it for waking two threads; storing a file in the kernel's cache costs a fifth of that
/// and nobody waits. Only what has been checked is stored, as in any answer. Done by a thread of its own: the kernel may
/// make it wait for a page that a request is about to fill.
final class Neighbours: Sendable {
    /// Larger files are worth a request.
    static let largest: UInt64 = 128 << 10
    /// Requests for files of a directory, none of which had been stored, after which the others follow.
    private static let threshold = 8
    /// What follows at once; the next requests that come all the same lead to more.
    private static let portion = 64 << 20
    /// Nanoseconds after which it may be tried again to give what the kernel dropped.
    private static let patience: UInt64 = 60_000_000_000
    /// Directories that are remembered.
    static let capacity = 1024

    private struct Directory: Sendable {
        var asked = 0
        /// Positions that were asked for or stored.
        var given = Positions()
        /// Files that were asked for although they had been given: the kernel has dropped them.
        var dropped = 0
        var isQueued = false
        /// Times that all had to be given anew, and when that was last so.
        var rounds = 0
        var lastRound: UInt64 = 0
    }

    private struct State: Sendable {
        var directories = [UInt32: Directory]()
        var queue = [(directory: UInt32, from: UInt32)]()

        /// Every other directory, but none that waits: at most half of them do, so that this need not be done again soon.
        mutating func forgetSome() {
            var isKept = false
            directories = directories.filter { _, directory in
                if !directory.isQueued { isKept.toggle() }
                return directory.isQueued || isKept
            }
        }
    }

    private let tree: VirtualTree
    private let state = Mutex(State())
    private let wake = EventGate(), ended = EventGate()
    private let memory: @Sendable () -> UInt64

    /// `memory`: bytes that the kernel could keep now.
    init(tree: VirtualTree, memory: @escaping @Sendable () -> UInt64 = { AvailableMemory.bytes() }) {
        self.tree = tree
        self.memory = memory
    }

    /// A file is asked for by a request. To be called before it is read: what this has seen is not stored besides, so that
    /// the two do not meet at a page.
    func note(_ id: NodeID) {
        guard let place = try? tree.neighbourhood(of: id, limit: Self.largest) else { return }
        let isDue = state.withLock { state in
            if state.directories.count >= Self.capacity, state.directories[place.directory] == nil {
                state.forgetSome()
            }
            var directory = state.directories[place.directory] ?? Directory()
            defer { state.directories[place.directory] = directory }
            if !directory.given.insert(place.ordinal) {
                directory.dropped += 1
                guard directory.dropped >= Self.threshold else { return false }
                // Where the kernel keeps dropping them, giving them again and again is of no use.
                let now = Clock.monotonic()
                directory.rounds = now &- directory.lastRound < Self.patience ? directory.rounds + 1 : 1
                directory.lastRound = now
                directory.given = Positions()
                directory.dropped = 0
            }
            directory.asked += 1
            guard directory.asked >= Self.threshold, !directory.isQueued, directory.rounds <= 3 else { return false }
            directory.asked = 0
            return true
        }
        // A tree that does not fit would push out itself; later it may fit.
        guard isDue, place.treeSize <= memory() / 2 else { return }
        state.withLock { state in
            guard state.queue.count < Self.capacity / 2, state.directories[place.directory]?.isQueued == false else {
                return
            }
            state.directories[place.directory]?.isQueued = true
            state.queue.append((place.directory, place.ordinal))
        }
        wake.open()
    }

    /// How many directories are remembered, and how many of them wait.
    var counts: (remembered: Int, queued: Int) { state.withLock { ($0.directories.count, $0.queue.count) } }

    // MARK: The thread

    private struct Session: @unchecked Sendable {
        var pointer: OpaquePointer
    }

    /// Stores until `stop` is called; until then the session must live.
    func start(_ session: OpaquePointer) {
        let session = Session(pointer: session)
        let isStarted = Workers.detach {
            self.run(session.pointer)
            self.ended.open()
        }
        if !isStarted { ended.open() }
    }

    /// Ends the thread, and returns when it has ended. Only after `start`. `abort` is called when it does not come back: it
    /// waits for a page that a request is to fill which nobody answers any more.
    func stop(abort: () -> Void) {
        wake.close()
        if ended.pass(seconds: 1) { return }
        abort()
        _ = ended.pass()
    }

    private func run(_ session: OpaquePointer) {
        // Where programs wait on all processors, this thread has to come first to be of any use. Allowed to root; without, nothing
        // happens.
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, -5)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(Self.largest), alignment: 4096)
        defer { buffer.deallocate() }
        while wake.pass() {
            while let next = state.withLock({ $0.queue.isEmpty ? nil : $0.queue.removeFirst() }), !wake.isClosed {
                give(next.directory, from: next.from, session, buffer)
                state.withLock { $0.directories[next.directory]?.isQueued = false }
            }
        }
    }

    private func give(
        _ number: UInt32, from start: UInt32, _ session: OpaquePointer, _ buffer: UnsafeMutableRawBufferPointer
    ) {
        var left = Self.portion
        var unknown = 0
        func give(from first: UInt32, to end: UInt32) {
            try? tree.forEachFile(in: number, from: first) { file in
                guard file.ordinal < end, left > 0, unknown < 64, !wake.isClosed else { return false }
                guard file.size > 0, file.size <= Self.largest, isNew(file.ordinal, number) else { return true }
                guard (try? tree.read(whole: file, into: buffer)) == Int(file.size) else { return true }
                let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(file.size)])
                if Self.store(bytes, file.id, session) {
                    tree.statistics.countStored(Int(file.size))
                    left -= Int(file.size)
                    unknown = 0
                } else {
                    // The kernel does not know the file: nobody has listed or looked it up.
                    unknown += 1
                }
                return true
            }
        }
        give(from: start, to: .max)
        give(from: 0, to: start)
    }

    private func isNew(_ ordinal: UInt32, _ number: UInt32) -> Bool {
        state.withLock { $0.directories[number]?.given.insert(ordinal) ?? false }
    }

    private static func store(_ bytes: UnsafeMutableRawBufferPointer, _ id: NodeID, _ session: OpaquePointer) -> Bool {
        var vector = fuse_bufvec()
        vector.count = 1
        vector.buf.size = bytes.count
        vector.buf.mem = bytes.baseAddress
        return fuse_lowlevel_notify_store(session, id.raw, 0, &vector, fuse_buf_copy_flags(rawValue: 0)) == 0
    }
}

/// Positions in a directory.
private struct Positions: Sendable {
    private var words = [UInt64]()

    /// Whether it was not there.
    mutating func insert(_ position: UInt32) -> Bool {
        let word = Int(position / 64), bit = UInt64(1) << UInt64(position % 64)
        if word >= words.count { words.append(contentsOf: repeatElement(0, count: word + 1 - words.count)) }
        defer { words[word] |= bit }
        return words[word] & bit == 0
    }
}

/// Lets one thread wait for work of others.
private final class EventGate: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    // Used under `mutex` only.
    private var isOpen = false
    private var hasEnded = false

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    private func locked<R>(_ body: () -> R) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    func open() {
        locked {
            isOpen = true
            pthread_cond_signal(changed)
        }
    }

    func close() {
        locked {
            hasEnded = true
            pthread_cond_broadcast(changed)
        }
    }

    var isClosed: Bool { locked { hasEnded } }

    /// Waits until it is opened, and shuts it; `false` once it is closed.
    func pass() -> Bool {
        locked {
            while !isOpen, !hasEnded { pthread_cond_wait(changed, mutex) }
            isOpen = false
            return !hasEnded
        }
    }

    /// As `pass`, but waits only so long; `false` when it was not opened.
    func pass(seconds: Int) -> Bool {
        var until = timespec()
        clock_gettime(CLOCK_REALTIME, &until)
        until.tv_sec += seconds
        return locked {
            while !isOpen, !hasEnded, pthread_cond_timedwait(changed, mutex, &until) == 0 {}
            defer { isOpen = false }
            return isOpen
        }
    }
}
