import CLinux
import DFSModel
import DFSSystem
import Dispatch
import Glibc

/// Copies what is appended to files to descriptors, on a thread of its own.
///
/// The job never waits for it, and never notices when it stops: a reader that has gone away (EPIPE) or fails ends the
/// copying of that file only. Files may appear later. SIGPIPE is kept from this process.
package final class LogFollower: Sendable {
    package struct Stream: Sendable {
        let path: RawPath
        let output: Int32

        /// `output` is not owned and stays open.
        package init(path: RawPath, output: Int32) {
            self.path = path
            self.output = output
        }
    }

    private let streams: [Stream]
    private let stop = DispatchSemaphore(value: 0)
    private let done = DispatchSemaphore(value: 0)

    /// Begins to follow at the files' beginnings.
    package init(_ streams: [Stream]) {
        self.streams = streams
        DispatchQueue(label: "dfs.log-follower").async { [self] in
            Self.withoutSIGPIPE { follow() }
            done.signal()
        }
    }

    /// Copies what is still missing, then ends. Called once, when nothing is appended any more.
    package func finish() {
        stop.signal()
        done.wait()
    }

    private func follow() {
        var copiers = streams.map { Copier($0) }
        var isStopping = false
        while true {
            var moved = false
            for i in copiers.indices where copiers[i].copy() { moved = true }
            if moved { continue }
            if isStopping { return }
            isStopping = stop.wait(timeout: .now() + .milliseconds(20)) == .success
        }
    }

    /// Blocks the signal in this thread, and takes one that came before it is unblocked.
    private static func withoutSIGPIPE(_ body: () -> Void) {
        var pipe = sigset_t()
        var before = sigset_t()
        sigemptyset(&pipe)
        sigaddset(&pipe, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &pipe, &before)
        body()
        var none = timespec()
        while sigtimedwait(&pipe, nil, &none) == SIGPIPE {}
        pthread_sigmask(SIG_SETMASK, &before, nil)
    }

    private struct Copier {
        let stream: Stream
        var file: OwnedDescriptor?
        var position: off_t = 0
        var hasFailed = false
        var buffer = [UInt8](repeating: 0, count: 1 << 16)

        init(_ stream: Stream) { self.stream = stream }

        /// Moves at most one buffer; `false` when there is nothing to move now.
        mutating func copy() -> Bool {
            if hasFailed { return false }
            if file == nil {
                file = try? OwnedDescriptor.open(bytes: stream.path.bytes, O_RDONLY, at: AT_FDCWD)
            }
            guard let file else { return false }
            let count = pread(file.raw, &buffer, buffer.count, position)
            if count < 0 { hasFailed = errno != EINTR }
            guard count > 0 else { return false }
            position += off_t(count)
            hasFailed = !write(count)
            return true
        }

        private func write(_ count: Int) -> Bool {
            buffer.withUnsafeBytes { bytes in
                var done = 0
                while done < count, let base = bytes.baseAddress {
                    let n = Glibc.write(stream.output, base + done, count - done)
                    if n >= 0 {
                        done += n
                    } else if errno == EAGAIN {
                        var set = pollfd(fd: stream.output, events: Int16(POLLOUT), revents: 0)
                        _ = poll(&set, 1, -1)
                    } else if errno != EINTR {
                        return false
                    }
                }
                return true
            }
        }
    }
}
