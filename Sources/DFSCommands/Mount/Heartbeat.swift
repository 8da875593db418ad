import DFSModel
import DFSSystem
import Glibc

/// What a server says when its supervisor asks: how long its requests have waited, in milliseconds.
struct Heartbeat: Sendable {
    /// The oldest of all.
    var oldest: UInt64 = 0
    /// The oldest of those that an earlier server had taken as well.
    var oldestResent: UInt64 = 0

    /// The two ends of a line between a supervisor and its server; messages stay whole.
    static func line() throws(DFSError) -> (supervisor: OwnedDescriptor, server: OwnedDescriptor) {
        var ends: [Int32] = [-1, -1]
        try System.call("cannot make a socket") {
            socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends)
        }
        return (OwnedDescriptor(adopting: ends[0]), OwnedDescriptor(adopting: ends[1]))
    }

    /// Asks; does not wait.
    static func ask(_ line: OwnedDescriptor) {
        var question = UInt8(0)
        send(line.raw, &question, 1, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
    }

    /// The next answer that is there.
    static func next(_ line: OwnedDescriptor) -> Heartbeat? {
        var answer = Heartbeat()
        let size = MemoryLayout<Heartbeat>.size
        return recv(line.raw, &answer, size, Int32(MSG_DONTWAIT)) == size ? answer : nil
    }

    /// Answers on a thread of its own until the supervisor is gone; then calls `whenAlone`.
    static func answer(
        _ line: OwnedDescriptor, _ current: @escaping @Sendable () -> Heartbeat,
        whenAlone: @escaping @Sendable () -> Void
    ) -> Bool {
        Workers.detach {
            while true {
                var question = UInt8(0)
                let count = recv(line.raw, &question, 1, 0)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return whenAlone() }
                var answer = current()
                send(line.raw, &answer, MemoryLayout<Heartbeat>.size, Int32(MSG_NOSIGNAL))
            }
        }
    }
}
