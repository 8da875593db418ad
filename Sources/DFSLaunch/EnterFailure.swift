import DFSModel

/// Why the entering process did not become the job.
package struct EnterFailure: Error, Sendable {
    package enum Stage: String, Sendable, CaseIterable {
        /// The plan is malformed, or the entering process ended without a word.
        case plan
        case log
        /// The mount or user namespace was refused.
        case namespace
        case mount
        /// The kernel refused the overlay: a writable copy (`.bind` with `.scratch`) can stand in for it.
        case overlay
        case credentials
        case directory
        case command
    }

    package let stage: Stage
    /// 123 no way to serve the view, 125 launcher, 126 found but cannot be run, 127 not found.
    package let exitCode: Int32
    package let error: DFSError

    init(_ stage: Stage, _ error: DFSError, exitCode: Int32? = nil) {
        let natural: Int32 =
            switch stage {
            case .namespace, .mount, .overlay: 123
            default: 125
            }
        self.stage = stage
        self.exitCode = exitCode ?? natural
        self.error = DFSError(
            self.exitCode == 123 ? .cannotServe : .launcher, error.what, cause: error.cause, hint: error.hint,
            errno: error.errno)
    }
}

/// What the entering process writes to the status descriptor: one JSON object a line, at most one of each kind.
/// End of file without a failure means that the command was executed, if `entered` came before.
package enum EnterAnswer: Sendable {
    /// All is built, and the launcher may look at it; it opens the gate (`EnterPlan.gate`).
    case ready
    /// Exec comes next. The link text of the job's mount namespace (`mnt:[…]`).
    case entered(mountNamespace: String)
    case failed(EnterFailure)

    package var json: JSONValue {
        switch self {
        case .ready: return ["ready": true]
        case .entered(let namespace): return ["entered": .string(namespace)]
        case .failed(let failure):
            var members: [String: JSONValue] = [
                "failed": .string(failure.stage.rawValue), "code": .integer(Int64(failure.exitCode)),
                "what": .string(failure.error.what),
            ]
            if let cause = failure.error.cause { members["cause"] = .string(cause) }
            if let hint = failure.error.hint { members["hint"] = .string(hint) }
            if let errno = failure.error.errno { members["errno"] = .integer(Int64(errno)) }
            return .object(members)
        }
    }

    package init?(json: JSONValue) {
        if json["ready"] != nil {
            self = .ready
            return
        }
        if let namespace = json["entered"]?.string {
            self = .entered(mountNamespace: namespace)
            return
        }
        guard let stage = json["failed"]?.string.flatMap(EnterFailure.Stage.init(rawValue:)),
            let code = json["code"]?.integer.flatMap(Int32.init(exactly:)), let what = json["what"]?.string
        else { return nil }
        let errno = json["errno"]?.integer.flatMap(Int32.init(exactly:))
        let error = DFSError(
            .launcher, what, cause: json["cause"]?.string, hint: json["hint"]?.string, errno: errno)
        self = .failed(EnterFailure(stage, error, exitCode: code))
    }
}
