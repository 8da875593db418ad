import DFSModel
import DFSSystem

/// The mounts of a process, from /proc/<pid>/mountinfo.
package struct MountTable: Sendable {
    package struct Mount: Sendable {
        package let path: RawPath
        package let fileSystem: String
        /// Options of the mount, not of its file system: `ro`, `nosuid` …
        package let options: [Substring]
    }

    package let mounts: [Mount]

    /// The caller's.
    package static func own() throws(DFSError) -> MountTable {
        MountTable(text: try Files.read("/proc/self/mountinfo") ?? [])
    }

    package init(text: [UInt8]) {
        mounts = text.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let fields = line.split(separator: UInt8(ascii: " "))
            guard fields.count > 6, let dash = fields.firstIndex(where: { $0.elementsEqual("-".utf8) }),
                dash + 1 < fields.count
            else { return nil }
            return Mount(
                path: RawPath(Self.unescaped(fields[4])),
                fileSystem: String(decoding: fields[dash + 1], as: UTF8.self),
                options: String(decoding: fields[5], as: UTF8.self).split(separator: ","))
        }
    }

    /// Where something is mounted at `base` or in it, outermost first, each path once.
    package func paths(atOrBelow base: RawPath) -> [RawPath] {
        Set(mounts.map(\.path).filter { $0.relative(to: base) != nil }).sorted { $0.bytes.count < $1.bytes.count }
    }

    /// The kernel writes space, tab, newline and backslash as three octal digits.
    private static func unescaped(_ field: some Collection<UInt8>) -> [UInt8] {
        let source = Array(field)
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
        return out
    }
}
