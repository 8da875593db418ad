import CLinux
import DFSModel
import Glibc

/// What fstatat(2) says of a file.
package struct FileStatus: Sendable, Equatable {
    package enum Kind: UInt8, Sendable { case file, directory, symlink, fifo, socket, characterDevice, blockDevice }

    package let kind: Kind
    /// The twelve permission bits.
    package let mode: UInt16
    package let size: UInt64
    package let modified: Timestamp
    package let changed: Timestamp
    package let inode: UInt64
    package let device: UInt64
    package let links: UInt64
    package let blocks: UInt64
    package let uid: UInt32
    package let gid: UInt32

    package init(_ s: stat) {
        kind =
            switch s.st_mode & S_IFMT {
            case S_IFDIR: .directory
            case S_IFLNK: .symlink
            case S_IFIFO: .fifo
            case S_IFSOCK: .socket
            case S_IFCHR: .characterDevice
            case S_IFBLK: .blockDevice
            default: .file
            }
        mode = UInt16(s.st_mode & 0o7777)
        size = UInt64(s.st_size)
        modified = Timestamp(seconds: Int64(s.st_mtim.tv_sec), nanoseconds: UInt32(s.st_mtim.tv_nsec))
        changed = Timestamp(seconds: Int64(s.st_ctim.tv_sec), nanoseconds: UInt32(s.st_ctim.tv_nsec))
        inode = UInt64(s.st_ino)
        device = UInt64(s.st_dev)
        links = UInt64(s.st_nlink)
        blocks = UInt64(s.st_blocks)
        uid = s.st_uid
        gid = s.st_gid
    }

    /// fstat(2).
    package static func of(_ fd: OwnedDescriptor) throws(DFSError) -> FileStatus {
        var s = stat()
        try System.call("cannot stat an open file") { fstat(fd.raw, &s) }
        return FileStatus(s)
    }

    /// fstatat(2) without following a final symlink; `nil` when there is nothing.
    package static func of(_ name: [UInt8], at directory: Int32) throws(DFSError) -> FileStatus? {
        var s = stat()
        if withCName(name, { fstatat(directory, $0, &s, AT_SYMLINK_NOFOLLOW) }) == 0 { return FileStatus(s) }
        if Glibc.errno == ENOENT || Glibc.errno == ENOTDIR { return nil }
        throw System.error(Glibc.errno, "cannot stat \(NameText.display(name))")
    }

    /// lstat(2), or stat(2) with `following`; `nil` when there is nothing.
    package static func of(path: String, following: Bool = false) throws(DFSError) -> FileStatus? {
        var s = stat()
        if fstatat(AT_FDCWD, path, &s, following ? 0 : AT_SYMLINK_NOFOLLOW) == 0 { return FileStatus(s) }
        if Glibc.errno == ENOENT || Glibc.errno == ENOTDIR { return nil }
        throw System.error(Glibc.errno, "cannot stat \(path)")
    }
}
