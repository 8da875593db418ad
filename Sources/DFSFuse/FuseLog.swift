import CFuse3
import Synchronization

/// What libfuse has to say goes to the log of the server that mounted last, never to stderr.
enum FuseLog {
    private static let target = Mutex<(@Sendable (String) -> Void)?>(nil)

    static func send(to log: @escaping @Sendable (String) -> Void) {
        target.withLock { $0 = log }
        cfuse3_set_log { message in
            guard let message else { return }
            FuseLog.pass(String(cString: message))
        }
    }

    private static func pass(_ message: String) {
        let log = target.withLock { $0 }
        log?(message)
    }
}
