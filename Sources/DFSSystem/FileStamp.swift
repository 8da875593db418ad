import DFSModel

/// What of a file's status changes whenever somebody writes to it or puts another file in its place: device, inode, size,
/// mtime and ctime. Not when a disk returns other bytes by itself.
package struct FileStamp: Sendable, Hashable {
    package let bytes: [UInt8]

    package init(_ status: FileStatus) {
        var words = [status.device, status.inode, status.size]
        for time in [status.modified, status.changed] {
            words += [UInt64(bitPattern: time.seconds), UInt64(time.nanoseconds)]
        }
        bytes = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
    }

    /// `nil` when they are no stamp.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.length else { return nil }
        self.bytes = bytes
    }

    private static let length = 56

    package static func of(_ file: OwnedDescriptor) throws(DFSError) -> FileStamp {
        FileStamp(try FileStatus.of(file))
    }

    /// `nil` where there is no file.
    package static func of(path: String) throws(DFSError) -> FileStamp? {
        try FileStatus.of(path: path).map { FileStamp($0) }
    }
}
