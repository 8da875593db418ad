import DFSChunking
import DFSModel
import DFSStore

extension ContentDigest {
    private static let hexDigits = Array("0123456789abcdef".utf8)

    /// The content digest of a directory from its sorted entries (FORMAT.md §4.1).
    package static func ofDirectory(_ entries: [TreeEntry]) -> ContentDigest { ofDirectory([entries]) }

    /// The same from entries that are kept in parts.
    package static func ofDirectory(_ parts: some Sequence<[TreeEntry]>) -> ContentDigest {
        var hasher = Hasher256()
        var text = Array("dfs.directory/1".utf8) + [0]
        for part in parts {
            for entry in part {
                append(entry, to: &text)
                if text.count >= 1 << 16 {
                    text.withUnsafeBytes { hasher.update($0) }
                    text.removeAll(keepingCapacity: true)
                }
            }
        }
        text.withUnsafeBytes { hasher.update($0) }
        return ContentDigest(hasher.finish())
    }

    private static func append(_ entry: TreeEntry, to text: inout [UInt8]) {
        text.append(entry.letter)
        text.append(0x20)
        let w = entry.content.digest.words
        for word in [w.0, w.1, w.2, w.3] {
            var shift: UInt64 = 64
            while shift > 0 {
                shift -= 4
                text.append(hexDigits[Int(word >> shift & 15)])
            }
        }
        text.append(0x20)
        text += entry.name
        text.append(0)
    }
}
