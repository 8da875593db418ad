import CLinux
import DFSModel
import Glibc

/// Names of a directory as bytes.
package enum DirectoryListing {
    /// Names without `.` and `..`, in the order of their bytes.
    package static func names(of directory: OwnedDescriptor) throws(DFSError) -> [[UInt8]] {
        var out = [[UInt8]]()
        try forEach(in: directory) { name, _ in out.append(name) }
        out.sort(by: ByteOrder.precedes)
        return out
    }

    package static func names(of path: String) throws(DFSError) -> [[UInt8]] {
        try names(of: try OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY))
    }

    /// Calls `body` with each name and its d_type, in no order.
    package static func forEach(in directory: OwnedDescriptor, _ body: ([UInt8], UInt8) -> Void) throws(DFSError) {
        let copy = try System.call("cannot read a directory", fault: "open") {
            clinux_openat(directory.raw, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        }
        guard let stream = fdopendir(copy) else {
            close(copy)
            throw System.error(Glibc.errno, "cannot read a directory")
        }
        defer { closedir(stream) }
        while true {
            Glibc.errno = 0
            guard let entry = readdir(stream) else {
                if Glibc.errno != 0 { throw System.error(Glibc.errno, "cannot read a directory") }
                return
            }
            guard let raw = clinux_dirent_name(entry) else { continue }
            let name = Array(UnsafeBufferPointer(start: raw, count: strlen(raw)).lazy.map { UInt8(bitPattern: $0) })
            if name == [0x2e] || name == [0x2e, 0x2e] { continue }
            body(name, clinux_dirent_type(entry))
        }
    }
}
