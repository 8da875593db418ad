import CZstd
import DFSModel
import Synchronization

/// A zstd context that is freed with its owner. Used by one thread at a time: whoever took it from the pool.
final class ZstdContext: @unchecked Sendable {
    let raw: OpaquePointer
    private let free: @Sendable (OpaquePointer) -> Void

    init(_ raw: OpaquePointer, free: @escaping @Sendable (OpaquePointer) -> Void) {
        self.raw = raw
        self.free = free
    }

    deinit { free(raw) }
}

/// Idle contexts; at most `capacity` are kept, so that a burst of threads does not hold memory for ever.
final class ZstdPool: Sendable {
    static let compressors = ZstdPool { ZSTD_createCCtx().map { ZstdContext($0) { ZSTD_freeCCtx($0) } } }
    static let decompressors = ZstdPool { ZSTD_createDCtx().map { ZstdContext($0) { ZSTD_freeDCtx($0) } } }

    private let idle = Mutex<[ZstdContext]>([])
    private let capacity = 64
    private let make: @Sendable () -> ZstdContext?

    private init(make: @escaping @Sendable () -> ZstdContext?) { self.make = make }

    func take() throws(DFSError) -> ZstdContext {
        if let context = idle.withLock({ $0.popLast() }) { return context }
        guard let context = make() else {
            throw DFSError(.operational, "cannot make a zstd context", cause: "no memory", hint: "free -m")
        }
        return context
    }

    func give(back context: ZstdContext) {
        idle.withLock { if $0.count < capacity { $0.append(context) } }
    }
}
