import DFSModel
import DFSSystem
import Glibc

/// The process that appends to a log what comes out of a pseudo-terminal, until nobody can write to it any more.
package enum LogPump {
    /// `terminal` is an open descriptor. Returns the exit status.
    package static func run(terminal: Int32, log: [UInt8]) -> Int32 {
        // What the user sends to the job by the terminal is not for this process, which has to see the job's end.
        for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] { signal(number, SIG_IGN) }
        guard let file = try? OwnedDescriptor.open(bytes: log, O_WRONLY | O_APPEND | O_CREAT, mode: 0o644, at: AT_FDCWD)
        else { return 1 }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(terminal, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            // EIO: the last writer has gone.
            if count <= 0 { return 0 }
            var done = 0
            while done < count {
                let written = buffer[done..<count].withUnsafeBytes { write(file.raw, $0.baseAddress, $0.count) }
                if written > 0 {
                    done += written
                } else if errno != EINTR {
                    // A full disk: the job waits, as it would for a terminal, rather than lose what it printed.
                    usleep(100_000)
                }
            }
        }
    }
}
