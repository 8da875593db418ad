/// Names of modules and libraries, told without making texts of them: this is asked for each file that a job opens.
package enum CodeName {
    /// `*.py`, `*.pyc`, `*.so`, `*.so.1.2`.
    package static func isCode(_ path: UnsafeRawBufferPointer) -> Bool {
        var end = path.count
        // A library's version.
        while end > 0, path[end - 1] == dot || (0x30...0x39).contains(path[end - 1]) { end -= 1 }
        guard end > 3 else { return false }
        let last = (path[end - 3], path[end - 2], path[end - 1])
        if last == (dot, 0x73, 0x6f) { return true }
        guard end == path.count else { return false }
        return last == (dot, 0x70, 0x79) || (last == (0x70, 0x79, 0x63) && path[end - 4] == dot)
    }

    private static let dot = UInt8(ascii: ".")
}
