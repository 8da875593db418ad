import DFSChunking
import DFSModel
import DFSStore

extension ContentDigest {
    /// What the digest of a directory begins with (FORMAT.md §4.1).
    static let directoryPrefix = Array("dfs.directory/1".utf8) + [0]

    /// The content digest of a directory from its sorted entries (FORMAT.md §4.1).
    package static func ofDirectory(_ entries: [TreeEntry]) -> ContentDigest { ofDirectory([entries]) }

    /// The same from entries that are kept in parts.
    package static func ofDirectory(_ parts: some Sequence<[TreeEntry]>) -> ContentDigest {
        var hasher = Hasher256()
        var text = directoryPrefix
        for part in parts {
            for entry in part {
                entry.appendLine(to: &text)
                if text.count >= 1 << 16 {
                    text.withUnsafeBytes { hasher.update($0) }
                    text.removeAll(keepingCapacity: true)
                }
            }
        }
        text.withUnsafeBytes { hasher.update($0) }
        return ContentDigest(hasher.finish())
    }
}

extension TreeEntry {
    private static let hexDigits = Array("0123456789abcdef".utf8)

    /// Appends what stands for this entry in the content digest of its directory.
    func appendLine(to text: inout [UInt8]) {
        text.append(letter)
        text.append(0x20)
        let w = content.digest.words
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 64) { digits in
            for (i, word) in [w.0, w.1, w.2, w.3].enumerated() {
                for j in 0..<16 { digits[i * 16 + j] = Self.hexDigits[Int(word >> UInt64(60 - j * 4) & 15)] }
            }
            text.append(contentsOf: digits)
        }
        text.append(0x20)
        text += name
        text.append(0)
    }
}
