import DFSHistory
import DFSModel
import DFSSystem
import Synchronization

/// Stops a capture that would take in secrets: each file that is about to be stored is scanned before.
///
/// A file that is what the stat cache knows is not opened and not scanned: it costs nothing, and it is in the store already.
package final class SecretInspector: CaptureInspector {
    private struct State {
        var stopping = [LocatedSecret]()
        var waived = [WaivedSecret]()
    }

    private let waivers: SecretWaivers
    private let state = Mutex(State())
    /// What can be done about a finding, as a command.
    private let hint: String

    package init(waivers: SecretWaivers, hint: String) {
        self.waivers = waivers
        self.hint = hint
    }

    package func admits(_ path: [UInt8], _ file: OwnedDescriptor, size: UInt64) throws(DFSError) -> Bool {
        let found = try SecretFile.scan(file, name: path, size: size)
        guard !found.isEmpty else { return true }
        return state.withLock { state in
            var isAdmitted = true
            for one in found {
                let secret = LocatedSecret(path: path, finding: one.finding)
                if let ground = waivers.ground(path, isWaivedByLine: one.isWaived) {
                    state.waived.append(WaivedSecret(secret: secret, ground: ground))
                } else {
                    state.stopping.append(secret)
                    isAdmitted = false
                }
            }
            return isAdmitted
        }
    }

    package func conclude() throws(DFSError) {
        let stopping = state.withLock { $0.stopping }.sorted(by: Self.precedes)
        guard let first = stopping.first else { return }
        let others = stopping.dropFirst().prefix(Self.named).map { "; " + $0.sentence }.joined()
        let more = stopping.count > Self.named + 1 ? "; and \(stopping.count - Self.named - 1) more" : ""
        throw DFSError(
            .refused,
            stopping.count == 1
                ? "a secret would be recorded: \(first.sentence)"
                : "\(stopping.count) secrets would be recorded: \(first.sentence)\(others)\(more)",
            cause: "whoever reads the store could read it; nothing was recorded", hint: hint)
    }

    private static let named = 9

    /// What was let pass, in order of place.
    package var waived: [WaivedSecret] {
        state.withLock { $0.waived }.sorted { Self.precedes($0.secret, $1.secret) }
    }

    private static func precedes(_ a: LocatedSecret, _ b: LocatedSecret) -> Bool {
        let order = ByteOrder.compare(a.path, b.path)
        return order == 0 ? a.finding.range.lowerBound < b.finding.range.lowerBound : order < 0
    }
}
