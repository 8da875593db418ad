import DFSModel
import DFSSystem
import Glibc
import Synchronization

/// Writes to a descriptor in pieces of 64 KiB. Any thread may write; a write is not torn by another.
package final class BufferedStream: Sendable {
    private struct State {
        var buffer: [UInt8] = []
        var readerIsGone = false
    }

    private let descriptor: Int32
    private let name: String
    private let state = Mutex(State())
    private static let capacity = 64 << 10

    /// `name` is what errors call it. The descriptor stays the caller's.
    package init(_ descriptor: Int32, name: String) {
        self.descriptor = descriptor
        self.name = name
    }

    /// Whether a write ended in EPIPE.
    package var readerIsGone: Bool { state.withLock { $0.readerIsGone } }

    package func write(_ bytes: [UInt8]) throws(DFSError) {
        try state.withLock { (state) throws(DFSError) in
            if state.buffer.count + bytes.count > Self.capacity { try empty(&state) }
            if bytes.count >= Self.capacity {
                try send(bytes, &state)
            } else {
                state.buffer += bytes
            }
        }
    }

    package func flush() throws(DFSError) {
        try state.withLock { (state) throws(DFSError) in try empty(&state) }
    }

    private func empty(_ state: inout State) throws(DFSError) {
        guard !state.buffer.isEmpty else { return }
        // What cannot be written is dropped: a later flush must not fail over the same bytes again.
        defer { state.buffer.removeAll(keepingCapacity: true) }
        try send(state.buffer, &state)
    }

    private func send(_ bytes: [UInt8], _ state: inout State) throws(DFSError) {
        var done = 0
        while done < bytes.count {
            do {
                done += try System.call("cannot write \(name)", fault: "write") {
                    bytes[done...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
                }
            } catch {
                // Another program may have made the terminal non-blocking; it shares the open file with us.
                guard error.errno == EAGAIN else {
                    state.readerIsGone = error.errno == EPIPE
                    throw error
                }
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&waiting, 1, -1)
            }
        }
    }
}
