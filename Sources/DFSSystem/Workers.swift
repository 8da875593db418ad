import Glibc

/// Threads for blocking work.
package enum Workers {
    /// Processors that are online.
    package static var processorCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// Calls `body` with 0..<count, each on a thread of its own (the last on the caller's), and waits for all.
    ///
    /// Threads and not libdispatch: that gives a call inside another one a single thread, and never more than there are
    /// processors, whatever `count` says.
    package static func run(_ count: Int, _ body: @Sendable (Int) -> Void) {
        guard count > 1 else { return body(0) }
        withoutActuallyEscaping(body) { body in
            let threads = (0..<count - 1).compactMap { i in
                Thread.start { body(i) }
                    ?? {
                        body(i); return nil
                    }()
            }
            body(count - 1)
            for thread in threads { pthread_join(thread, nil) }
        }
    }

    /// Starts a thread that nobody waits for; `false` when the system has none to give.
    package static func detach(_ body: @escaping @Sendable () -> Void) -> Bool {
        guard let thread = Thread.start(body) else { return false }
        pthread_detach(thread)
        return true
    }

    private enum Thread {
        private final class Box: Sendable {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }

        /// `nil` when the system has no thread to give.
        static func start(_ body: @escaping @Sendable () -> Void) -> pthread_t? {
            var thread = pthread_t()
            let box = Unmanaged.passRetained(Box(body))
            let code = pthread_create(
                &thread, nil,
                { raw in
                    if let raw { Unmanaged<Box>.fromOpaque(raw).takeRetainedValue().body() }
                    return nil
                }, box.toOpaque())
            if code == 0 { return thread }
            box.release()
            return nil
        }
    }
}
