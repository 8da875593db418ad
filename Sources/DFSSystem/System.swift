import CLinux
import DFSModel
import Glibc

/// The one place where errno becomes an error and where tests can make calls fail.
package enum System {
    /// Runs a call that returns -1 on failure, retrying EINTR.
    @discardableResult
    package static func call<T: SignedInteger>(
        _ operation: @autoclosure () -> String, fault: StaticString = "other", _ body: () -> T
    ) throws(DFSError) -> T {
        while true {
            if let injected = FaultPlan.next(fault) { throw error(injected, operation()) }
            let result = body()
            if result != -1 { return result }
            if Glibc.errno == EINTR { continue }
            throw error(Glibc.errno, operation())
        }
    }

    /// The error for `code`, with a hint where the errno itself says what helps.
    package static func error(_ code: Int32, _ operation: String) -> DFSError {
        let text = String(cString: strerror(code))
        let hint: String? =
            switch code {
            case ENOSPC, EDQUOT: "df -h"
            case EMFILE: "ulimit -n 65536"
            case EACCES, EPERM: "id"
            default: nil
            }
        return DFSError(.operational, operation, cause: text, hint: hint, errno: code)
    }
}

/// Failures that tests order in advance: the n-th call of a kind returns an errno, or the process ends there.
///
/// Set through `DFS_FAULT=kind:n:errno` (`kind` is `open`, `write`, `fsync`, `rename`, `link`, `unlink`, `read`,
/// `mkdir` or `any`; errno a number, or `kill`). Unset, a call costs one comparison.
package enum FaultPlan {
    private struct Order: Sendable {
        let kind: String
        let call: Int
        let errno: Int32
    }
    private static let order: Order? = {
        guard let text = getenv("DFS_FAULT").map({ String(cString: $0) }) else { return nil }
        let parts = text.split(separator: ":")
        guard parts.count == 3, let call = Int(parts[1]) else { return nil }
        return Order(kind: String(parts[0]), call: call, errno: parts[2] == "kill" ? -1 : Int32(parts[2]) ?? EIO)
    }()
    private static let counter = Counter()

    static func next(_ kind: StaticString) -> Int32? {
        guard let order else { return nil }
        guard order.kind == "any" || order.kind == kind.description else { return nil }
        guard counter.increment() == order.call else { return nil }
        if order.errno == -1 { kill(getpid(), SIGKILL) }
        return order.errno
    }
}
