/// What a user reads when something fails: what, why, and a command that helps.
///
/// Every layer throws this type; `code` decides the exit code and, in the file system, the errno.
package struct DFSError: Error, Sendable {
    package enum Code: String, Sendable, CaseIterable {
        /// The system refused: I/O, permissions, space.
        case operational
        /// There is no store where one was named.
        case noStore
        /// A dataset, version, tag, run, path or time that does not exist.
        case noReference
        /// The command line is wrong.
        case usage
        /// Stored bytes do not match their digest, signature or format.
        case corrupt
        /// The store was written by a newer version of this program.
        case newerFormat
        /// Refused by a rule that protects the user (shrinking commit, tag exists, special files).
        case refused
        /// This host differs more from a run's than was asked for.
        case drift
        /// No way to serve a view on this host.
        case cannotServe
        /// A job could not be launched.
        case launcher
        /// The job's command was found and cannot be executed.
        case cannotExecute
        /// The job's command was not found.
        case commandNotFound
        case interrupted
    }

    package let code: Code
    /// What failed, with the path or id.
    package let what: String
    /// Why.
    package let cause: String?
    /// A command that can be run next.
    package let hint: String?
    /// The errno behind it, when a system call failed.
    package let errno: Int32?

    package init(_ code: Code, _ what: String, cause: String? = nil, hint: String? = nil, errno: Int32? = nil) {
        self.code = code
        self.what = what
        self.cause = cause
        self.hint = hint
        self.errno = errno
    }

    /// The same error with a hint, unless it has one.
    package func hinting(_ hint: String) -> DFSError {
        DFSError(code, what, cause: cause, hint: self.hint ?? hint, errno: errno)
    }
}

extension DFSError: CustomStringConvertible {
    package var description: String {
        var text = "error: \(what)"
        if let cause { text += "\ncause: \(cause)" }
        if let hint { text += "\nhint: \(hint)" }
        return text
    }
}
