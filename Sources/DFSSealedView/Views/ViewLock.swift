import DFSModel
import DFSSystem
import Glibc

/// Says to other processes that this one uses an image, or makes or removes it: flock(2), which ends with the process.
package final class ViewLock: Sendable {
    package enum Mode: Sendable { case shared, exclusive }

    private let file: OwnedDescriptor

    static func path(directory: String, key: String) -> String { directory + "/\(key).lock" }

    init(directory: String, key: String) throws(DFSError) {
        file = try OwnedDescriptor.open(
            Self.path(directory: directory, key: key), O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
    }

    /// At a path that a `SealedView` told.
    package init(path: String) throws(DFSError) {
        file = try OwnedDescriptor.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
    }

    /// Waits for it.
    package func take(_ mode: Mode) throws(DFSError) {
        try System.call("cannot lock a view") { flock(file.raw, mode == .shared ? LOCK_SH : LOCK_EX) }
    }

    /// Takes it exclusively if nobody else has it.
    package func tryExclusive() -> Bool { flock(file.raw, LOCK_EX | LOCK_NB) == 0 }
}
