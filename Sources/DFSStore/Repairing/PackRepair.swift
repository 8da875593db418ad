import DFSChunking
import DFSModel
import DFSRemote
import DFSSystem
import Glibc

/// Makes damaged packs whole again under their own names: a pack's id commits to a table, the table to the digest, place and
/// length of everything in the pack, so what is put back can be nothing else.
package struct PackRepair {
    private let store: ObjectStore
    private let backend: DirectoryBackend
    private let sources: [any ReplacementSource]

    package struct Outcome: Sendable {
        package var restored = 0
        package var missing = 0
    }

    /// `sources` are asked in order.
    package init(store: ObjectStore, backend: DirectoryBackend, sources: [any ReplacementSource]) {
        self.store = store
        self.backend = backend
        self.sources = sources
    }

    /// Puts the table of a pack back; `false` when no source has it.
    package func restoreTable(_ pack: PackID) throws(DFSError) -> Bool {
        for source in sources {
            guard let table = source.table(of: pack) else { continue }
            let file = try backend.begin()
            try file.append(table.bytes)
            try exchange(file, PackIndex.indexKey(pack), reason: "its SHA-256 was not its name")
            return true
        }
        return false
    }

    /// Writes the pack anew from what is sound of it and what sources have, if they have anything that it lacks. What nobody
    /// has becomes zeros. `reason` is kept with the old file.
    package func rebuild(_ pack: PackID, reason: String) throws(DFSError) -> Outcome {
        let index = try store.readIndex(pack)
        let items = (0..<index.count).map { index[$0] }.sorted {
            ($0.offset, $0.storedLength) < ($1.offset, $1.storedLength)
        }
        let file = try backend.begin()
        var outcome = Outcome(), at: UInt64 = 0, isClean = true
        // What has no bytes is nothing to put back.
        for item in items where item.storedLength > 0 {
            try zeros(item.offset - at, to: file)
            if let own = sound(item, pack) {
                try file.append(own)
            } else if let found = replacement(item, pack) {
                outcome.restored += 1
                try file.append(found)
            } else {
                outcome.missing += 1
                isClean = false
                try zeros(UInt64(item.storedLength), to: file)
            }
            at = item.offset + UInt64(item.storedLength)
        }
        try zeros(index.packLength - at, to: file)
        guard outcome.restored > 0 || isClean else { return outcome }
        try exchange(file, PackIndex.packKey(pack), reason: reason)
        store.close(pack)
        return outcome
    }

    private func sound(_ item: PackItem, _ pack: PackID) -> [UInt8]? {
        guard let stored = try? store.stored(item, of: pack), (try? store.content(of: stored, item, pack)) != nil else {
            return nil
        }
        return stored
    }

    private func replacement(_ item: PackItem, _ pack: PackID) -> [UInt8]? {
        for source in sources {
            if let stored = source.stored(item, of: pack) { return stored }
            guard let content = source.content(of: item.digest), content.count == Int(item.length) else { continue }
            if item.codec == .raw { return content }
            if let frame = frame(content, length: Int(item.storedLength)) { return frame }
        }
        return nil
    }

    /// A frame of this length: the table says how long it is. The writer's own level comes first.
    private func frame(_ content: [UInt8], length: Int) -> [UInt8]? {
        content.withUnsafeBytes { bytes in
            for level in [store.parameters.zstdLevel] + Array(1...19) {
                guard let frame = try? Zstd.compress(bytes, level: level) else { return nil }
                if frame.count == length { return frame }
            }
            return nil
        }
    }

    private func zeros(_ count: UInt64, to file: DurableFile) throws(DFSError) {
        var left = count
        let piece = [UInt8](repeating: 0, count: Int(min(count, 1 << 20)))
        while left > 0 {
            let now = Int(min(left, UInt64(piece.count)))
            try file.append(now == piece.count ? piece : Array(piece[..<now]))
            left -= UInt64(now)
        }
    }

    private func exchange(_ file: DurableFile, _ key: String, reason: String) throws(DFSError) {
        if try backend.length(of: key) == nil { return try backend.publish(file, as: key) }
        try backend.setAside(key, reason: reason)
        try file.replace(backend.path(key))
    }
}
