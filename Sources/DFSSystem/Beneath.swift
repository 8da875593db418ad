import CLinux
import DFSModel
import Glibc

/// Reaches names below a directory without ever following a symlink: each component is opened by itself with
/// O_NOFOLLOW, so whoever can write there cannot lead a reader elsewhere.
package enum Beneath {
    // O_PATH is a macro that the Glibc module does not carry.
    private static let pathOnly = Int32(clinux_O_PATH)

    /// Opens the directory `components` below `root` so that names in it can be reached, not listed.
    /// `root` itself may not be a symlink.
    package static func directory(_ components: [[UInt8]], below root: String) throws(DFSError) -> OwnedDescriptor {
        let flags = pathOnly | O_DIRECTORY | O_NOFOLLOW
        var current = try OwnedDescriptor.open(root, flags)
        for component in components {
            current = try OwnedDescriptor.open(bytes: component, flags, at: current.raw)
        }
        return current
    }

    /// Opens a directory for listing.
    package static func listing(_ components: [[UInt8]], below root: String) throws(DFSError) -> OwnedDescriptor {
        let directory = try directory(components, below: root)
        return try OwnedDescriptor.open(".", O_RDONLY | O_DIRECTORY, at: directory.raw)
    }

    /// Opens the regular file `name` for reading; never blocks on a fifo. `nil` when it is no regular file.
    package static func file(_ name: [UInt8], in directory: OwnedDescriptor) throws(DFSError)
        -> (descriptor: OwnedDescriptor, status: FileStatus)?
    {
        let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
        let descriptor = try OwnedDescriptor.open(bytes: name, flags, at: directory.raw)
        let status = try FileStatus.of(descriptor)
        return status.kind == .file ? (descriptor, status) : nil
    }

    /// The target of the symlink `name`; at most 4095 bytes.
    package static func linkTarget(_ name: [UInt8], in directory: OwnedDescriptor) throws(DFSError) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = try System.call("cannot read the symlink \(NameText.display(name))") {
            withCName(name) { readlinkat(directory.raw, $0, &buffer, 4096) }
        }
        return buffer.prefix(Int(length)).map { UInt8(bitPattern: $0) }
    }
}

/// One name that a directory listing gave.
package struct ListedName: Sendable {
    package let name: [UInt8]
    /// d_type of readdir(3).
    package let type: UInt8
    package let inode: UInt64
    /// Where a later listing goes on after this name.
    package let next: UInt64
}

extension DirectoryListing {
    /// Lists from the position `offset` (0: the start; else the `next` of a name), `.` and `..` included, in the file
    /// system's own order, until `body` returns `false`. Takes the descriptor's position over.
    package static func resume(
        _ directory: OwnedDescriptor, from offset: UInt64, _ body: (ListedName) -> Bool
    ) throws(DFSError) {
        let copy = try System.call("cannot read a directory") { clinux_fcntl(directory.raw, F_DUPFD_CLOEXEC, 0) }
        guard let stream = fdopendir(copy) else {
            close(copy)
            throw System.error(Glibc.errno, "cannot read a directory")
        }
        defer { closedir(stream) }
        if offset != 0 { seekdir(stream, Int(truncatingIfNeeded: offset)) }
        while true {
            Glibc.errno = 0
            guard let entry = readdir(stream) else {
                if Glibc.errno != 0 { throw System.error(Glibc.errno, "cannot read a directory") }
                return
            }
            guard let raw = clinux_dirent_name(entry) else { continue }
            let name = Array(UnsafeBufferPointer(start: raw, count: strlen(raw)).lazy.map { UInt8(bitPattern: $0) })
            let listed = ListedName(
                name: name, type: clinux_dirent_type(entry), inode: UInt64(entry.pointee.d_ino),
                next: UInt64(bitPattern: Int64(entry.pointee.d_off)))
            guard body(listed) else { return }
        }
    }
}
