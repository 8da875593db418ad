import Dispatch
import Glibc

/// Threads for blocking work.
package enum Workers {
    /// Processors that are online.
    package static var processorCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// Calls `body` with 0..<count on as many threads as there are processors, and waits for all.
    package static func run(_ count: Int, _ body: @Sendable (Int) -> Void) {
        if count <= 1 { return body(0) }
        DispatchQueue.concurrentPerform(iterations: count) { body($0) }
    }
}
