import DFSModel
import Glibc

extension DFSError {
    /// The one table from errors to what a program that reads the mount sees.
    var kernelErrno: Int32 {
        switch code {
        case .noReference: ENOENT
        case .corrupt, .newerFormat, .noStore, .cannotServe, .launcher, .cannotExecute, .commandNotFound: EIO
        case .refused, .drift: EPERM
        case .usage: EINVAL
        case .interrupted: EINTR
        case .operational: Self.passed.contains(errno ?? EIO) ? errno ?? EIO : EIO
        }
    }

    /// Whether somebody should hear of it, other than the program that asked.
    var isTrouble: Bool {
        switch kernelErrno {
        case ENOENT, ENOTDIR, EISDIR, EINVAL, ESTALE, EACCES, EINTR: false
        default: true
        }
    }

    /// errnos that say something true about the file asked for; others are the daemon's own trouble.
    private static let passed: Set<Int32> = [
        ENOENT, ENOTDIR, EISDIR, EINVAL, ESTALE, EACCES, EPERM, ENAMETOOLONG, ENFILE, EMFILE, ENOMEM,
    ]
}
