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
            if let injected = FaultPlan.next(fault) {
                #if DEBUG || DFS_DEFECTS
                    if Defect.ignoreFailedFsync.isPlanted, fault.description == "fsync" { return 0 }
                #endif
                throw error(injected, operation())
            }
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

/// Failures that tests order in advance: the n-th call of a kind returns an errno, or the process ends or stops there.
///
/// Set through `DFS_FAULT=kind:n:errno` (`kind` is `open`, `write`, `fsync`, `rename`, `link`, `unlink`, `read`,
/// `mkdir` or `any`; errno a number, `kill` or `stop`). `n+` means that call and all after it. Unset, a call costs one
/// comparison.
package enum FaultPlan {
    private enum Effect: Sendable { case fails(Int32), ends, stops }
    private struct Order: Sendable {
        let kind: String
        let calls: ClosedRange<Int>
        let effect: Effect
    }
    private static let order: Order? = {
        guard let text = getenv("DFS_FAULT").map({ String(cString: $0) }) else { return nil }
        let parts = text.split(separator: ":")
        guard parts.count == 3 else { return nil }
        let isLasting = parts[1].hasSuffix("+")
        guard let call = Int(parts[1].dropLast(isLasting ? 1 : 0)) else { return nil }
        let effect: Effect =
            switch parts[2] {
            case "kill": .ends
            case "stop": .stops
            default: .fails(Int32(parts[2]) ?? EIO)
            }
        return Order(kind: String(parts[0]), calls: call...(isLasting ? .max : call), effect: effect)
    }()
    private static let counter = Counter()

    static func next(_ kind: StaticString) -> Int32? {
        guard let order else { return nil }
        guard order.kind == "any" || order.kind == kind.description else { return nil }
        guard order.calls.contains(counter.increment()) else { return nil }
        switch order.effect {
        case .fails(let errno): return errno
        case .ends: kill(getpid(), SIGKILL)
        case .stops: raise(SIGSTOP)
        }
        return nil
    }
}
