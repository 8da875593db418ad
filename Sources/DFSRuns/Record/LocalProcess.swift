import DFSModel
import DFSSystem

/// A process as a record names it: without the name of its machine. `ProcessIdentity` tells more, and is not for records.
package struct LocalProcess: Sendable, Equatable {
    private let identity: ProcessIdentity

    /// Throws when there is no such process.
    package init(pid: Int32) throws(DFSError) { identity = try ProcessIdentity.of(pid: pid) }

    /// `nil` when a member is missing.
    package init?(json: JSONValue) {
        guard let own = try? ProcessIdentity.own(),
            let identity = ProcessIdentity(json: json.setting("machine", own.json["machine"] ?? .null))
        else { return nil }
        self.identity = identity
    }

    /// The boot id tells machines apart.
    package var json: JSONValue {
        guard case .object(var members) = identity.json else { return .null }
        members["machine"] = nil
        return .object(members)
    }

    /// `nil` when it cannot be told from here.
    package var isAlive: Bool? {
        switch try? identity.liveness() {
        case .alive: true
        case .dead: false
        default: nil
        }
    }
}
