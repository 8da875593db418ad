import Glibc

/// Who runs this process.
package enum Account {
    /// The effective user's name in the user database; `nil` when that has none.
    package static var name: String? {
        var buffer = [CChar](repeating: 0, count: 16384)
        return buffer.withUnsafeMutableBufferPointer { space in
            var entry = passwd()
            var found: UnsafeMutablePointer<passwd>?
            guard let start = space.baseAddress,
                getpwuid_r(geteuid(), &entry, start, space.count, &found) == 0, found != nil,
                let name = entry.pw_name
            else { return nil }
            return String(cString: name)
        }
    }
}
