import DFSModel
import DFSSystem
import Glibc

/// A directory that is removed when the value goes away.
package final class TemporaryDirectory: Sendable {
    package let path: String

    /// Below `DFS_TEST_TMP`, else below /tmp.
    package init() throws {
        let base = getenv("DFS_TEST_TMP").map { String(cString: $0) } ?? "/tmp"
        path = base + "/dfs-test-" + Randomness.hex(bytes: 8)
        try Files.makeDirectories(path, mode: 0o755)
    }

    deinit { try? Files.removeTree(path) }

    package func sub(_ name: String) -> String { path + "/" + name }

    /// Writes a file below, making its directories.
    package func write(_ name: String, _ bytes: [UInt8], mode: UInt32 = 0o644) throws {
        try TestFiles.write(sub(name), bytes, mode: mode)
    }

    package func write(_ name: String, _ text: String, mode: UInt32 = 0o644) throws {
        try write(name, Array(text.utf8), mode: mode)
    }
}

package enum TestFiles {
    package static func write(_ path: String, _ bytes: [UInt8], mode: UInt32 = 0o644) throws {
        try Files.makeDirectories(Files.parent(path), mode: 0o755)
        let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
        try Files.write(bytes, to: file.raw, what: path)
        fchmod(file.raw, mode)
    }

    /// Creates a file whose name is any bytes.
    package static func write(name: [UInt8], in directory: String, _ bytes: [UInt8]) throws {
        let parent = try OwnedDescriptor.open(directory, O_RDONLY | O_DIRECTORY)
        let file = try OwnedDescriptor.open(bytes: name, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644, at: parent.raw)
        try Files.write(bytes, to: file.raw, what: "a test file")
    }
}

/// Random values from a seed that tests print, so that a failure can be repeated.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    // SplitMix64 (Steele, Lea, Flood 2014).
    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// Bytes that do not compress.
    package mutating func bytes(_ count: Int) -> [UInt8] {
        var out = [UInt8]()
        out.reserveCapacity(count + 8)
        while out.count < count { withUnsafeBytes(of: next()) { out.append(contentsOf: $0) } }
        return Array(out.prefix(count))
    }
}
