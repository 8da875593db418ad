import CLinux
import DFSModel
import DFSSystem
import Glibc

/// Signals of this process as something to poll. One at a time in a process; the handlers go with it.
final class SignalRelay {
    static let forwarded = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]

    /// Tells that the terminal has another size; passed on by `Supervisor` itself.
    static let windowChange = SIGWINCH

    let descriptor: OwnedDescriptor
    private let writing: OwnedDescriptor

    /// Throws when there is one already.
    init() throws(DFSError) {
        (descriptor, writing) = try Pipe.make()
        for end in [descriptor, writing] { _ = clinux_fcntl(end.raw, F_SETFL, Int(O_NONBLOCK)) }
        let signals = Self.forwarded + [Self.windowChange, SIGCHLD]
        try System.call("cannot watch signals") { clinux_relay_start(writing.raw, signals, Int32(signals.count)) }
    }

    deinit { clinux_relay_stop(writing.raw) }

    /// What has arrived since the last call.
    func take() -> [(signal: Int32, fromKernel: Bool)] {
        var out = [(signal: Int32, fromKernel: Bool)]()
        var event = clinux_signal()
        while read(descriptor.raw, &event, MemoryLayout<clinux_signal>.size) == MemoryLayout<clinux_signal>.size {
            out.append((event.signal, event.from_kernel != 0))
        }
        return out
    }
}

enum Pipe {
    /// The reading and the writing end, close-on-exec.
    static func make() throws(DFSError) -> (OwnedDescriptor, OwnedDescriptor) {
        var ends: (Int32, Int32) = (-1, -1)
        try System.call("cannot make a pipe") {
            withUnsafeMutableBytes(of: &ends) { pipe($0.baseAddress?.assumingMemoryBound(to: Int32.self)) }
        }
        for end in [ends.0, ends.1] { _ = clinux_fcntl(end, F_SETFD, Int(FD_CLOEXEC)) }
        return (OwnedDescriptor(adopting: ends.0), OwnedDescriptor(adopting: ends.1))
    }
}
