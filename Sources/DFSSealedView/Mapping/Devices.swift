import DFSModel
import DFSStore
import Synchronization

/// The files that an image's blocks lie in, numbered from 1 in order of their first use.
final class Devices: Sendable {
    enum Source: Hashable, Sendable {
        case pack(PackID)
        case hot(HotPackID)
    }

    struct Device: Sendable {
        let source: Source
        /// Whole blocks of the file: what lies behind them cannot be read.
        var blocks: UInt32
    }

    private struct State: Sendable {
        var numbers = [Source: UInt16]()
        var devices = [Device]()
    }

    private let state = Mutex(State())
    private let limit: Int
    /// Numbers kept free for the hot packs that are being written, one by each thread.
    private let reserved: Int

    init(limit: Int, reserved: Int) {
        self.limit = min(limit, ErofsFormat.maximumDevices)
        self.reserved = reserved
    }

    var all: [Device] { state.withLock { $0.devices } }

    /// The number of a pack; `nil` when it cannot have one, so that what is in it has to be copied.
    func number(of pack: PackID, length: UInt64) -> UInt16? {
        number(of: .pack(pack), length: length, limit: limit - reserved)
    }

    /// The number of a hot pack that was there before; `nil` as for a pack.
    func number(of hot: HotPackID, length: UInt64) -> UInt16? {
        number(of: .hot(hot), length: length, limit: limit - reserved)
    }

    /// The number of a hot pack that is being written.
    func number(ofNew hot: HotPackID) -> UInt16? { number(of: .hot(hot), length: 0, limit: limit) }

    /// Tells the length of a hot pack that is finished.
    func settle(_ hot: HotPackID, length: UInt64) {
        state.withLock { state in
            guard let number = state.numbers[.hot(hot)] else { return }
            state.devices[Int(number) - 1].blocks = UInt32(clamping: length / UInt64(ErofsFormat.block))
        }
    }

    private func number(of source: Source, length: UInt64, limit: Int) -> UInt16? {
        state.withLock { state in
            if let number = state.numbers[source] { return number }
            guard state.devices.count < limit, let blocks = UInt32(exactly: length / UInt64(ErofsFormat.block)) else {
                return nil
            }
            state.devices.append(Device(source: source, blocks: blocks))
            let number = UInt16(state.devices.count)
            state.numbers[source] = number
            return number
        }
    }
}
