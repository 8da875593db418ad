import DFSModel

/// What the program returns. The numbers are a contract with scripts.
package struct ExitCode: RawRepresentable, Hashable, Sendable {
    package let rawValue: Int32

    /// The code of a job that ran: passed through as it is.
    package init(rawValue: Int32) { self.rawValue = rawValue }

    package static let done = ExitCode(rawValue: 0)
    /// Differences, drift or corruption found.
    package static let differences = ExitCode(rawValue: 1)
    package static let failed = ExitCode(rawValue: 2)
    package static let inconclusive = ExitCode(rawValue: 3)
    package static let noStore = ExitCode(rawValue: 10)
    package static let noReference = ExitCode(rawValue: 11)
    package static let usage = ExitCode(rawValue: 64)
    package static let outputsDiffer = ExitCode(rawValue: 118)
    package static let driftRefused = ExitCode(rawValue: 120)
    package static let integrity = ExitCode(rawValue: 121)
    package static let denied = ExitCode(rawValue: 122)
    package static let cannotServe = ExitCode(rawValue: 123)
    package static let launcher = ExitCode(rawValue: 125)
    package static let cannotExecute = ExitCode(rawValue: 126)
    package static let commandNotFound = ExitCode(rawValue: 127)
    package static let interrupted = ExitCode(rawValue: 130)
    /// What a shell shows of a program that SIGPIPE ended: the reader of standard output went away.
    package static let brokenPipe = ExitCode(rawValue: 141)

    /// Which of two tables a command's errors are looked up in.
    package enum Table: Sendable {
        case general
        /// Of `run` and `rerun`, whose small codes belong to the job.
        case launch
    }

    /// The code for an error that ended a command.
    package init(_ code: DFSError.Code, _ table: Table = .general) {
        self =
            switch (code, table) {
            case (.noStore, _): .noStore
            case (.noReference, _): .noReference
            case (.usage, _): .usage
            case (.interrupted, _): .interrupted
            case (.cannotExecute, _): .cannotExecute
            case (.commandNotFound, _): .commandNotFound
            case (.corrupt, .general): .differences
            case (.corrupt, .launch): .integrity
            case (.refused, .launch): .denied
            case (.drift, .launch): .driftRefused
            case (.drift, .general): .differences
            case (.cannotServe, .launch): .cannotServe
            case (.operational, .launch), (.newerFormat, .launch), (.launcher, _): .launcher
            case (.operational, .general), (.newerFormat, .general), (.refused, .general), (.cannotServe, .general):
                .failed
            }
    }
}
