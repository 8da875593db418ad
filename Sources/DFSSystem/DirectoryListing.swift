import CLinux
import DFSModel
import Glibc

/// Names of a directory as bytes.
package enum DirectoryListing {
    /// Names without `.` and `..`, in the order of their bytes.
    package static func names(of directory: OwnedDescriptor) throws(DFSError) -> [[UInt8]] {
        var keyed = [KeyedName]()
        try forEach(in: directory) { name, _ in keyed.append(KeyedName(name)) }
        keyed.sort { $0.key == $1.key ? ByteOrder.precedes($0.name, $1.name) : $0.key < $1.key }
        return keyed.map(\.name)
    }

    /// A name with its first eight bytes as a number, which decides nearly every comparison of a sort.
    private struct KeyedName {
        let key: UInt64
        let name: [UInt8]

        init(_ name: [UInt8]) {
            self.name = name
            var key: UInt64 = 0
            for i in 0..<8 { key = key << 8 | (i < name.count ? UInt64(name[i]) : 0) }
            self.key = key
        }
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
            let name = Array(UnsafeRawBufferPointer(start: raw, count: strlen(raw)))
            if name == [0x2e] || name == [0x2e, 0x2e] { continue }
            body(name, clinux_dirent_type(entry))
        }
    }
}
