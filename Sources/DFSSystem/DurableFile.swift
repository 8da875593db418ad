import CLinux
import DFSModel
import Glibc

/// A file that appears under its final name whole and durable, or not at all:
/// temporary name, write, fsync, rename or link, fsync of the directory.
///
/// After a failed fsync the temporary is discarded and never fsynced again: the kernel may have dropped the
/// dirty pages and marked them clean.
package final class DurableFile {
    package let descriptor: OwnedDescriptor
    private let temporaryPath: String
    private var finished = false
    package private(set) var length: UInt64 = 0

    /// Creates the temporary file with exactly these permissions, whatever the umask. `temporaryDirectory` must be on the
    /// same file system as the final name.
    package init(temporaryDirectory: String, mode: UInt32 = 0o444) throws(DFSError) {
        temporaryPath = temporaryDirectory + "/" + Randomness.hex(bytes: 12)
        descriptor = try OwnedDescriptor.open(temporaryPath, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
        _ = fchmod(descriptor.raw, mode_t(mode))
    }

    deinit { if !finished { unlink(temporaryPath) } }

    package func append(_ bytes: [UInt8]) throws(DFSError) {
        try Files.write(bytes, to: descriptor.raw, what: temporaryPath)
        length += UInt64(bytes.count)
    }

    package func append(_ buffer: UnsafeRawBufferPointer) throws(DFSError) {
        try Files.write(buffer, to: descriptor.raw, what: temporaryPath)
        length += UInt64(buffer.count)
    }

    /// The status of the temporary: its mtime is the time of the file system that holds the store.
    package func status() throws(DFSError) -> FileStatus { try FileStatus.of(descriptor) }

    /// Fsyncs, renames to `path` (which must not exist) and fsyncs the directory.
    package func publish(as path: String) throws(DFSError) {
        try synchronize()
        do {
            try System.call("cannot rename to \(path)", fault: "rename") {
                clinux_rename_noreplace(AT_FDCWD, temporaryPath, AT_FDCWD, path)
            }
            finished = true
        } catch {
            // NFS, 9P and some FUSE file systems know no rename that does not replace. The temporary name goes with
            // this value.
            guard [EINVAL, ENOSYS, EOPNOTSUPP].contains(error.errno) else { throw error }
            try link(as: path)
        }
        try Files.synchronizeDirectory(Files.parent(path))
    }

    /// Fsyncs, renames over whatever stands under `path` and fsyncs the directory.
    package func replace(_ path: String) throws(DFSError) {
        try synchronize()
        try System.call("cannot rename to \(path)", fault: "rename") { rename(temporaryPath, path) }
        finished = true
        try Files.synchronizeDirectory(Files.parent(path))
    }

    /// Makes what was written durable. After a failure the value is of no further use.
    package func synchronize() throws(DFSError) {
        #if DEBUG || DFS_DEFECTS
            if Defect.skipFsync.isPlanted { return }
        #endif
        try System.call("cannot fsync \(temporaryPath)", fault: "fsync") { fsync(descriptor.raw) }
    }

    /// Gives the file, once synchronized, the name `path` besides, only if nothing stands there. The directory is the
    /// caller's to synchronize. A lost answer (NFS) is told from a lost race by the caller, who compares what stands
    /// there with what it wrote.
    package func link(as path: String) throws(DFSError) {
        try System.call("cannot link \(path)", fault: "link") { Glibc.link(temporaryPath, path) }
    }
}
