import CLinux
import DFSModel
import Glibc

/// Extended attributes by path; the last component may be a symlink, which is followed.
package enum ExtendedAttributes {
    /// `nil` when there is none of that name. ERANGE when it is longer than `room`.
    package static func get(_ name: String, of path: String, room: Int = 65536) throws(DFSError) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: room)
        do throws(DFSError) {
            let count = try System.call("cannot read the attribute \(name) of \(path)") {
                getxattr(path, name, &buffer, room)
            }
            return Array(buffer[..<count])
        } catch {
            if error.errno == ENODATA { return nil }
            throw error
        }
    }

    package static func names(of path: String) throws(DFSError) -> [[UInt8]] {
        var buffer = [CChar](repeating: 0, count: 65536)
        let count = try System.call("cannot list the attributes of \(path)") { listxattr(path, &buffer, 65536) }
        return buffer[..<count].split(separator: 0).map { $0.map { UInt8(bitPattern: $0) } }
    }

    /// setxattr(2): 0, or -1 with errno.
    package static func set(_ name: String, _ value: String, of path: String) -> Int32 {
        setxattr(path, name, value, value.utf8.count, 0)
    }

    /// removexattr(2): 0, or -1 with errno.
    package static func remove(_ name: String, of path: String) -> Int32 { removexattr(path, name) }
}
