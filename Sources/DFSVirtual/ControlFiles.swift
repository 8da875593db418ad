import DFSModel
import Synchronization

/// The files of `.dfs`. Each lookup of `stats` and `health` takes a snapshot under an id of its own, so that one reader never
/// sees two states mixed; the last few are kept.
final class ControlFiles: Sendable {
    static let names = ["version", "health", "stats"]
    private static let version: UInt32 = 1, firstSnapshot: UInt32 = 16
    private static let kept = 64

    private struct State: Sendable {
        var snapshots: [UInt32: [UInt8]] = [:]
        var next = ControlFiles.firstSnapshot
    }

    private let versionText: [UInt8]
    private let statistics: @Sendable () -> [UInt8]
    private let health: @Sendable () -> [UInt8]
    private let state = Mutex(State())

    init(
        version: String, statistics: @escaping @Sendable () -> [UInt8], health: @escaping @Sendable () -> [UInt8]
    ) {
        versionText = Array((version + "\n").utf8)
        self.statistics = statistics
        self.health = health
    }

    /// The item and lifetime of a name.
    func lookup(_ name: String) -> (item: UInt32, lifetime: Lifetime)? {
        switch name {
        case "version": return (Self.version, .immutable)
        case "health": return (keep(health()), .none)
        case "stats": return (keep(statistics()), .none)
        default: return nil
        }
    }

    /// Leaves out ids that a predecessor may have given to other snapshots.
    func skip(_ count: UInt32) { state.withLock { $0.next += min(count, NodeID.firstLink / 2) } }

    private func keep(_ bytes: [UInt8]) -> UInt32 {
        state.withLock { state in
            let item = state.next
            state.next = item + 1 < NodeID.firstLink ? item + 1 : Self.firstSnapshot
            state.snapshots[item] = bytes
            if item >= Self.firstSnapshot + UInt32(Self.kept) { state.snapshots[item - UInt32(Self.kept)] = nil }
            return item
        }
    }

    func bytes(_ item: UInt32) -> [UInt8]? {
        switch item {
        case Self.version: versionText
        default: state.withLock { $0.snapshots[item] }
        }
    }
}
