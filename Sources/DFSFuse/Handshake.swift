import DFSModel
import DFSSystem
import Glibc

/// The request that began a connection, in a file in memory that outlives the server: its successor's libfuse gets it
/// again, and only it, since the kernel sends it once.
///
/// A byte of state, three of nothing, the length, the request.
package struct Handshake: Sendable {
    private enum State: UInt8 { case none, canGoOn, cannotGoOn }
    private static let header = 8, limit = 4096

    private let file: OwnedDescriptor

    package init(_ file: OwnedDescriptor) { self.file = file }

    /// Before the request is answered.
    func save(_ request: UnsafeRawBufferPointer) {
        guard request.count <= Self.limit else { return }
        var length = UInt32(request.count)
        _ = pwrite(file.raw, &length, 4, 4)
        _ = pwrite(file.raw, request.baseAddress, request.count, off_t(Self.header))
    }

    /// The kernel has taken the answer. `resends`: it gives again what a server took and did not answer.
    func settle(resends: Bool) {
        var state = (resends ? State.canGoOn : .cannotGoOn).rawValue
        _ = pwrite(file.raw, &state, 1, 0)
    }

    /// Whether another server can go on where one has died.
    package var canGoOn: Bool { state == .canGoOn }

    /// Whether a server has answered the request.
    package var isSettled: Bool { state != .none }

    private var state: State {
        var state = UInt8(0)
        return pread(file.raw, &state, 1, 0) == 1 ? State(rawValue: state) ?? .none : .none
    }

    /// `nil` unless a server can go on.
    var request: [UInt8]? {
        var length = UInt32(0)
        guard canGoOn, pread(file.raw, &length, 4, 4) == 4, length <= UInt32(Self.limit) else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(length))
        return pread(file.raw, &bytes, bytes.count, off_t(Self.header)) == bytes.count ? bytes : nil
    }
}
