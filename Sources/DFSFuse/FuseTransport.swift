import CFuse3
import DFSModel
import Glibc
import Synchronization

/// What a server asks of the kernel when a connection begins, beyond what libfuse 3.14 can ask, and what it got.
///
/// Immutable but for `granted`, which INIT's answer sets before any other request.
final class FuseTransport: Sendable {
    /// Extensions of INIT. Numbers are those of the kernel's ABI (linux/fuse.h), of bits 32 and above.
    struct Extensions: OptionSet, Sendable {
        let rawValue: UInt32
        /// Files may be read from a backing file; Linux 6.9, CAP_SYS_ADMIN.
        static let passthrough = Extensions(rawValue: 1 << 5)
        /// Requests that a server took and never answered can be had again; Linux 6.9.
        static let resend = Extensions(rawValue: 1 << 7)
        /// The kernel ends the connection when a request waits too long; Linux 6.15.
        static let requestTimeout = Extensions(rawValue: 1 << 10)
    }

    let wanted: Extensions
    /// Seconds; with `.requestTimeout`. The kernel looks every 15 seconds, so that 15 more may pass.
    let requestTimeout: UInt16
    private let offer = Atomic<UInt32>(0)
    private let grantedBits = Atomic<UInt32>(0)

    /// What both sides agreed on; empty before INIT.
    var granted: Extensions { Extensions(rawValue: grantedBits.load(ordering: .acquiring)) }

    let clock = RequestClock()
    private let handshake: Handshake?
    /// Whether a predecessor has answered INIT: the answer is kept from the kernel then.
    private let isReplay = Atomic<Bool>(false)

    init(wanted: Extensions, requestTimeout: UInt16 = 0, handshake: Handshake? = nil) {
        self.wanted = wanted
        self.handshake = handshake
        self.requestTimeout = requestTimeout
    }

    /// Makes `session` read and write `descriptor`, which belongs to it from now on, through this transport.
    static func attach(_ session: OpaquePointer, _ descriptor: Int32) throws(DFSError) {
        var io = fuse_custom_io()
        io.read = { descriptor, buffer, length, userdata in
            guard let buffer, let userdata else { return -1 }
            let context = Unmanaged<FuseContext>.fromOpaque(userdata).takeUnretainedValue()
            return context.transport.receive(descriptor, UnsafeMutableRawBufferPointer(start: buffer, count: length))
        }
        io.writev = { descriptor, parts, count, userdata in
            guard let parts, let userdata else { return -1 }
            let context = Unmanaged<FuseContext>.fromOpaque(userdata).takeUnretainedValue()
            return context.transport.send(descriptor, parts, count)
        }
        guard fuse_session_custom_io(session, &io, descriptor) == 0 else {
            throw DFSError(.cannotServe, "libfuse does not take the mount")
        }
    }

    private func receive(_ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
        clock.rest()
        let count = read(descriptor, buffer.baseAddress, buffer.count)
        guard count > 16 else { return count }
        let unique = buffer.loadUnaligned(fromByteOffset: Layout.unique, as: UInt64.self)
        clock.begin(resent: unique & Layout.resent != 0)
        received(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        return count
    }

    // MARK: INIT

    private enum Layout {
        static let initCode: UInt32 = 26
        /// Of fuse_in_header and fuse_init_in.
        static let opcode = 4, unique = 8, requestFlags = 52, requestFlags2 = 56, requestLength = 60
        /// Of fuse_init_out.
        static let flags = 12, flags2 = 32, maximumStackDepth = 36, requestTimeout = 40, answerLength = 64
        static let extended: UInt32 = 1 << 30
        /// In `unique`: a request that another server had taken.
        static let resent: UInt64 = 1 << 63
    }

    private let isSettled = Atomic<Bool>(false)
    private let initUnique = Atomic<UInt64>(0)

    private func received(_ request: UnsafeRawBufferPointer) {
        guard !isSettled.load(ordering: .relaxed), request.count >= Layout.requestLength,
            request.loadUnaligned(fromByteOffset: Layout.opcode, as: UInt32.self) == Layout.initCode
        else { return }
        initUnique.store(
            request.loadUnaligned(fromByteOffset: Layout.unique, as: UInt64.self), ordering: .relaxed)
        let flags = request.loadUnaligned(fromByteOffset: Layout.requestFlags, as: UInt32.self)
        if !isReplay.load(ordering: .relaxed) { handshake?.save(request) }
        guard flags & Layout.extended != 0 else { return }
        offer.store(
            request.loadUnaligned(fromByteOffset: Layout.requestFlags2, as: UInt32.self), ordering: .relaxed)
    }

    /// INIT as a predecessor got it. The answer to it is kept from the kernel, which has one.
    func replay(_ request: UnsafeRawBufferPointer) {
        isReplay.store(true, ordering: .relaxed)
        received(request)
    }

    /// Sends the answer to INIT.
    private func conclude(_ descriptor: Int32, _ parts: UnsafeMutablePointer<iovec>, _ count: Int32) -> Int {
        if isReplay.load(ordering: .relaxed) { return parts[0].iov_len + parts[1].iov_len }
        let sent = writev(descriptor, parts, count)
        if sent >= 0 { handshake?.settle(resends: granted.contains(.resend)) }
        return sent
    }

    /// Passes an answer on; that to INIT with what `wanted` adds to it.
    private func send(_ descriptor: Int32, _ parts: UnsafeMutablePointer<iovec>, _ count: Int32) -> Int {
        guard !isSettled.load(ordering: .relaxed), count == 2, parts[0].iov_len == 16,
            parts[1].iov_len >= Layout.answerLength,
            parts[0].iov_base.loadUnaligned(fromByteOffset: 8, as: UInt64.self) == initUnique.load(ordering: .relaxed)
        else { return writev(descriptor, parts, count) }
        isSettled.store(true, ordering: .relaxed)
        let granted = Extensions(rawValue: offer.load(ordering: .relaxed)).intersection(wanted)
        guard !granted.isEmpty else { return conclude(descriptor, parts, count) }
        grantedBits.store(granted.rawValue, ordering: .releasing)
        let answer = UnsafeMutableRawBufferPointer(start: parts[1].iov_base, count: parts[1].iov_len)
        func put<T: FixedWidthInteger>(_ value: T, at offset: Int) {
            answer.storeBytes(of: value, toByteOffset: offset, as: T.self)
        }
        let flags = answer.loadUnaligned(fromByteOffset: Layout.flags, as: UInt32.self)
        put(flags | Layout.extended, at: Layout.flags)
        put(granted.rawValue, at: Layout.flags2)
        if granted.contains(.passthrough) { put(UInt32(1), at: Layout.maximumStackDepth) }
        if granted.contains(.requestTimeout) { put(requestTimeout, at: Layout.requestTimeout) }
        return conclude(descriptor, parts, count)
    }
}
