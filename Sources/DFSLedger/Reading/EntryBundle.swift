import DFSChunking
import DFSModel
import DFSRemote
import DFSSystem

/// The entries of one folder of the ledger again, in one file (FORMAT.md §7.5), so that a host that knows nothing of a
/// store reads a thousandth of the files. Derived: whatever is wrong with one, the entries' own files serve.
enum EntryBundle {
    static let folder = EntryKey.folder + "bundles/"
    private static let magic = Array("DFSBUN".utf8)
    private static let version: UInt8 = 1
    private static let header = 32
    /// Entries that are more than this together are not bundled.
    private static let contentLimit = 1 << 28
    /// A longer file is no bundle.
    static let byteLimit = 1 << 29

    /// Of the entries whose numbers divided by a thousand are `number`.
    static func key(_ number: UInt64) -> String { folder + EntryKey.folderName(number) + ".bundle" }

    /// The number in the name of a bundle; `nil` for any other name.
    static func number(_ key: String) -> UInt64? {
        guard key.hasPrefix(folder), key.hasSuffix(".bundle"),
            let number = UInt64(key.dropFirst(folder.count).dropLast(7)), Self.key(number) == key
        else { return nil }
        return number
    }

    static func encode(first: UInt64, entries: [[UInt8]]) throws(DFSError) -> [UInt8] {
        var content = [UInt8]()
        for entry in entries {
            withUnsafeBytes(of: UInt32(entry.count).littleEndian) { content += $0 }
            content += entry
        }
        var out = magic + [version, 0]
        withUnsafeBytes(of: first.littleEndian) { out += $0 }
        withUnsafeBytes(of: UInt64(entries.count).littleEndian) { out += $0 }
        withUnsafeBytes(of: UInt64(content.count).littleEndian) { out += $0 }
        var frame: Result<[UInt8], DFSError> = .success([])
        content.withUnsafeBytes { bytes in
            do throws(DFSError) { frame = .success(try Zstd.compress(bytes, level: 3)) } catch {
                frame = .failure(error)
            }
        }
        return out + (try frame.get())
    }

    /// The bytes of the entries, of which the first has the number `first`. Throws `.corrupt` for everything else.
    static func decode(_ bytes: [UInt8], first: UInt64) throws(DFSError) -> [[UInt8]] {
        func problem(_ cause: String) -> DFSError {
            DFSError(.corrupt, "malformed bundle of ledger entries", cause: cause)
        }
        func integer(_ offset: Int) -> UInt64 {
            bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
        }
        guard bytes.count > header, bytes.starts(with: magic + [version, 0]), integer(8) == first else {
            throw problem("its header is wrong")
        }
        guard integer(16) <= EntryKey.perFolder, integer(24) <= contentLimit else { throw problem("it is too long") }
        var content: Result<[UInt8], DFSError> = .success([])
        bytes.withUnsafeBytes { raw in
            let frame = UnsafeRawBufferPointer(rebasing: raw[header...])
            do throws(DFSError) { content = .success(try Zstd.decompress(frame, length: Int(integer(24)))) } catch {
                content = .failure(error)
            }
        }
        let entries = split(try content.get())
        guard let entries, entries.count == Int(integer(16)) else { throw problem("its lengths are wrong") }
        return entries
    }

    private static func split(_ content: [UInt8]) -> [[UInt8]]? {
        var entries = [[UInt8]]()
        var position = 0
        while position < content.count {
            guard content.count - position >= 4 else { return nil }
            let length = content.withUnsafeBytes {
                Int(UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: UInt32.self)))
            }
            position += 4
            guard length <= content.count - position else { return nil }
            entries.append(Array(content[position..<position + length]))
            position += length
        }
        return entries
    }

    /// The bytes of a folder's entries as its bundle has them; `nil` when there is none that is sound.
    static func read(_ number: UInt64, from backend: any Backend) -> [[UInt8]]? {
        guard let bytes = try? backend.get(key(number), limit: byteLimit) else { return nil }
        return try? decode(bytes, first: EntryKey.entries(ofFolder: number).lowerBound)
    }

    /// Writes the bundle of a folder whose entries are all there, unless there is one. Best effort: whoever can read a
    /// store need not be able to write to it, and nothing depends on a bundle.
    static func write(_ number: UInt64, to backend: any Backend) {
        guard (try? backend.length(of: key(number))) == .some(nil) else { return }
        var entries = [[UInt8]]()
        var size = 0
        for sequence in EntryKey.entries(ofFolder: number) {
            guard let entry = try? backend.get(EntryKey.path(sequence), limit: LedgerEntry.byteLimit) else { return }
            entries.append(entry)
            size += entry.count + 4
            guard size <= contentLimit else { return }
        }
        guard let bytes = try? encode(first: EntryKey.entries(ofFolder: number).lowerBound, entries: entries) else {
            return
        }
        _ = try? backend.putIfAbsent(key(number), bytes)
    }
}
