import DFSLaunch
import DFSModel

extension EnterFailure {
    /// What the launcher reports, with a code that says at which stage it was.
    var launchError: DFSError {
        let code: DFSError.Code =
            switch exitCode {
            case 126: .cannotExecute
            case 127: .commandNotFound
            case 123: .cannotServe
            default: .launcher
            }
        return DFSError(code, error.what, cause: error.cause, hint: error.hint, errno: error.errno)
    }
}
