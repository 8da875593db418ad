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

    /// Creates the temporary file. `temporaryDirectory` must be on the same file system as the final name.
    package init(temporaryDirectory: String, mode: UInt32 = 0o444) throws(DFSError) {
        temporaryPath = temporaryDirectory + "/" + Randomness.hex(bytes: 12)
        descriptor = try OwnedDescriptor.open(temporaryPath, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
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

    /// Tells of bytes written to the descriptor by other means (copy_file_range, reflink).
    package func noteLength(_ length: UInt64) { self.length = length }

    /// The status of the temporary: its mtime is the time of the file system that holds the store.
    package func status() throws(DFSError) -> FileStatus { try FileStatus.of(descriptor) }

    /// Fsyncs, renames to `path` (which must not exist) and fsyncs the directory.
    package func publish(as path: String) throws(DFSError) {
        try System.call("cannot fsync \(path)", fault: "fsync") { fsync(descriptor.raw) }
        try System.call("cannot rename to \(path)", fault: "rename") {
            clinux_rename_noreplace(AT_FDCWD, temporaryPath, AT_FDCWD, path)
        }
        finished = true
        try Files.synchronizeDirectory(Files.parent(path))
    }

    /// Fsyncs, renames over whatever stands under `path` and fsyncs the directory.
    package func replace(_ path: String) throws(DFSError) {
        try System.call("cannot fsync \(path)", fault: "fsync") { fsync(descriptor.raw) }
        try System.call("cannot rename to \(path)", fault: "rename") { rename(temporaryPath, path) }
        finished = true
        try Files.synchronizeDirectory(Files.parent(path))
    }

    /// Fsyncs and links to `path` only if nothing stands there, then fsyncs the directory.
    ///
    /// Returns `false` when something else stands there. A lost answer (NFS) is told from a lost race by the
    /// caller, who compares what stands there with what it wrote.
    package func linkIfAbsent(as path: String) throws(DFSError) -> Bool {
        try System.call("cannot fsync \(path)", fault: "fsync") { fsync(descriptor.raw) }
        do {
            try System.call("cannot link \(path)", fault: "link") { link(temporaryPath, path) }
        } catch {
            guard error.errno == EEXIST else { throw error }
            return false
        }
        try Files.synchronizeDirectory(Files.parent(path))
        return true
    }
}
