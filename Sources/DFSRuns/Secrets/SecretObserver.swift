import DFSHistory
import DFSModel
import DFSSystem
import Synchronization

/// Looks for secrets in what a run has written: that cannot be stopped any more, so it is recorded and reported.
final class SecretObserver: Sendable {
    private struct State {
        var found = [LocatedSecret]()
        var passedOver = [[UInt8]]()
    }

    private let state = Mutex(State())
    /// Larger files would keep the end of a run waiting: they are passed over, and the record says so.
    private static let limit: UInt64 = 256 << 20
    private static let listed = 1000

    /// For the capture of one of the run's directories.
    func below(_ folder: String) -> any CaptureInspector {
        Inspector(observer: self, folder: Array((folder + "/").utf8))
    }

    private struct Inspector: CaptureInspector {
        let observer: SecretObserver
        let folder: [UInt8]

        func admits(_ path: [UInt8], _ file: OwnedDescriptor, size: UInt64) throws(DFSError) -> Bool {
            try observer.look(folder + path, file, size)
            return true
        }

        func conclude() {}
    }

    private func look(_ path: [UInt8], _ file: OwnedDescriptor, _ size: UInt64) throws(DFSError) {
        guard size <= Self.limit else { return state.withLock { $0.passedOver.append(path) } }
        let found = try SecretFile.scan(file, name: path, size: size).filter { !$0.isWaived }
        guard !found.isEmpty else { return }
        state.withLock { $0.found += found.map { LocatedSecret(path: path, finding: $0.finding) } }
    }

    /// In order of place.
    var found: [LocatedSecret] {
        state.withLock { $0.found }.sorted {
            let order = ByteOrder.compare($0.path, $1.path)
            return order == 0 ? $0.finding.range.lowerBound < $1.finding.range.lowerBound : order < 0
        }
    }

    /// For the result of a run.
    var json: JSONValue {
        let passedOver = state.withLock { $0.passedOver }.sorted(by: ByteOrder.precedes)
        let found = found
        return [
            "count": .integer(Int64(found.count)), "found": .array(found.prefix(Self.listed).map(\.json)),
            "not-scanned": .array(passedOver.prefix(Self.listed).map { .string(NameText.encode($0)) }),
        ]
    }
}
