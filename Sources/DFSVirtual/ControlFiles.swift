import DFSModel
import Synchronization

/// The files of `.dfs`. Each lookup of `stats` takes a snapshot under an id of its own, so that one reader never
/// sees two states mixed; the last few are kept.
final class ControlFiles: Sendable {
    static let names = ["version", "health", "stats"]
    private static let version: UInt32 = 1, health: UInt32 = 2, firstSnapshot: UInt32 = 16
    private static let kept = 64

    private struct State: Sendable {
        var snapshots: [UInt32: [UInt8]] = [:]
        var next = ControlFiles.firstSnapshot
    }

    private let versionText: [UInt8]
    private let takeSnapshot: @Sendable () -> [UInt8]
    private let state = Mutex(State())

    init(version: String, takeSnapshot: @escaping @Sendable () -> [UInt8]) {
        versionText = Array((version + "\n").utf8)
        self.takeSnapshot = takeSnapshot
    }

    /// The item and lifetime of a name.
    func lookup(_ name: String) -> (item: UInt32, lifetime: Lifetime)? {
        switch name {
        case "version": return (Self.version, .immutable)
        case "health": return (Self.health, .brief)
        case "stats":
            let bytes = takeSnapshot()
            let item = state.withLock { state in
                let item = state.next
                state.next = item + 1 < NodeID.firstLink ? item + 1 : Self.firstSnapshot
                state.snapshots[item] = bytes
                if item >= Self.firstSnapshot + UInt32(Self.kept) { state.snapshots[item - UInt32(Self.kept)] = nil }
                return item
            }
            return (item, .none)
        default: return nil
        }
    }

    func bytes(_ item: UInt32) -> [UInt8]? {
        switch item {
        case Self.version: versionText
        case Self.health: Array("ok\n".utf8)
        default: state.withLock { $0.snapshots[item] }
        }
    }
}
