import DFSModel
import DFSSystem
import Glibc

/// The file system of a directory.
enum StorageFacts {
    /// Its type, and its room at this moment.
    static func capture(_ directory: String) -> (job: JSONValue, volatile: JSONValue) {
        let path = Files.resolved(directory) ?? directory
        var room = statvfs()
        guard statvfs(path, &room) == 0 else {
            let reason = Fact.unknown("statvfs: \(String(cString: strerror(errno)))")
            return (reason, reason)
        }
        let block = UInt64(room.f_frsize)
        return (
            [
                "bytes": .integer(Int64(clamping: UInt64(room.f_blocks) &* block)),
                "type": Fact.text(type(path), orUnknown: "no line of /proc/self/mountinfo covers the directory"),
            ],
            [
                "free_bytes": .integer(Int64(clamping: UInt64(room.f_bavail) &* block)),
                "free_inodes": .integer(Int64(clamping: room.f_favail)),
            ]
        )
    }

    /// The type of the last mount whose mount point is the longest prefix of `path`.
    private static func type(_ path: String) -> String? {
        guard let text = Fact.file("/proc/self/mountinfo") else { return nil }
        var best: (length: Int, type: String)?
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count > 4, let dash = words.firstIndex(of: "-"), dash + 1 < words.count else { continue }
            let point = unescaped(words[4])
            guard point == "/" || path == point || path.hasPrefix(point + "/") else { continue }
            if point.utf8.count >= best?.length ?? 0 { best = (point.utf8.count, String(words[dash + 1])) }
        }
        return best?.type
    }

    /// The kernel writes space, tab, newline and backslash as three octal digits.
    private static func unescaped(_ word: Substring) -> String {
        guard word.contains("\\") else { return String(word) }
        let source = Array(word.utf8)
        var out = [UInt8]()
        var i = 0
        while i < source.count {
            if source[i] == UInt8(ascii: "\\"), i + 3 < source.count,
                let byte = UInt8(String(decoding: source[i + 1...i + 3], as: UTF8.self), radix: 8)
            {
                out.append(byte)
                i += 4
            } else {
                out.append(source[i])
                i += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
