import DFSModel
import Synchronization

/// Where the objects of the packs under check lie, by digest, held in memory: what the packs' own tables say, and nothing of
/// the host's index.
///
/// Takes 56 bytes for each item and four to eight for finding it. Thread-safe.
package final class ObjectTable: Sendable {
    /// One copy of an object.
    package struct Place: Sendable {
        package let pack: PackID
        /// Numbers packs in the order in which they were added.
        package let number: UInt32
        package let item: PackItem
        package let isDamaged: Bool
    }

    private struct Entry {
        let digest: Digest
        let offset: UInt64
        let storedLength: UInt32
        /// 31 bits of length; the highest bit: compressed.
        let length: UInt32
        /// 31 bits of pack number; the highest bit: damaged.
        var pack: UInt32

        static let flag: UInt32 = 1 << 31

        init(_ item: PackItem, _ number: UInt32, isDamaged: Bool) {
            digest = item.digest
            offset = item.offset
            storedLength = item.storedLength
            length = item.length | (item.codec == .zstd ? Self.flag : 0)
            pack = number | (isDamaged ? Self.flag : 0)
        }

        var number: UInt32 { pack & ~Self.flag }
        var item: PackItem {
            PackItem(
                digest: digest, offset: offset, storedLength: storedLength, length: length & ~Self.flag,
                codec: length & Self.flag != 0 ? .zstd : .raw)
        }
    }

    private struct Part {
        var entries = [Entry]()
        /// Positions in `entries` plus one, by the digest's words; a power of two of them, at most three quarters in use.
        var slots = [UInt32](repeating: 0, count: 16)
        /// Further copies, in other packs.
        var copies = [Digest: [Entry]]()

        func slot(of digest: Digest) -> Int {
            var i = Int(truncatingIfNeeded: digest.words.1) & (slots.count - 1)
            while slots[i] != 0, entries[Int(slots[i]) - 1].digest != digest { i = (i + 1) & (slots.count - 1) }
            return i
        }

        mutating func insert(_ entry: Entry) {
            let found = slot(of: entry.digest)
            if slots[found] != 0 {
                let first = entries[Int(slots[found]) - 1]
                // The pack of a single file lists a repeated chunk at every place.
                if first.number != entry.number { copies[entry.digest, default: []].append(entry) }
                return
            }
            entries.append(entry)
            slots[found] = UInt32(entries.count)
            if entries.count * 4 > slots.count * 3 { grow() }
        }

        private mutating func grow() {
            slots = [UInt32](repeating: 0, count: slots.count * 2)
            for (i, entry) in entries.enumerated() { slots[slot(of: entry.digest)] = UInt32(i + 1) }
        }

        mutating func markDamaged(_ digest: Digest, _ number: UInt32) {
            let found = slot(of: digest)
            guard slots[found] != 0 else { return }
            let i = Int(slots[found]) - 1
            if entries[i].number == number { entries[i].pack |= Entry.flag }
            guard var others = copies[digest] else { return }
            for i in others.indices where others[i].number == number { others[i].pack |= Entry.flag }
            copies[digest] = others
        }

        func all(of digest: Digest) -> [Entry] {
            let found = slot(of: digest)
            guard slots[found] != 0 else { return [] }
            return [entries[Int(slots[found]) - 1]] + (copies[digest] ?? [])
        }
    }

    private final class Shard: Sendable { let part = Mutex<Part>(Part()) }

    private static let shardCount = 256
    private let shards = (0..<ObjectTable.shardCount).map { _ in Shard() }
    private struct Packs {
        var ids = [PackID]()
        var numbers = [PackID: UInt32]()
    }
    private let packs = Mutex<Packs>(Packs())

    package init() {}

    private func shard(_ digest: Digest) -> Shard { shards[Int(digest.words.0 >> 56)] }

    /// How many different objects there are.
    package var count: Int { shards.reduce(0) { $0 + $1.part.withLock { $0.entries.count } } }

    package func pack(_ number: UInt32) -> PackID { packs.withLock { $0.ids[Int(number)] } }

    /// `nil` for a pack that was not added.
    package func number(of pack: PackID) -> UInt32? { packs.withLock { $0.numbers[pack] } }

    /// Takes in the items of a pack; those that `isDamaged` says cannot be read. A pack counts once.
    package func add(_ index: PackIndex, isDamaged: (PackItem) -> Bool = { _ in false }) {
        let number: UInt32? = packs.withLock { packs in
            guard packs.numbers[index.id] == nil else { return nil }
            let number = UInt32(packs.ids.count)
            packs.ids.append(index.id)
            packs.numbers[index.id] = number
            return number
        }
        guard let number else { return }
        for i in 0..<index.count {
            let item = index[i]
            let entry = Entry(item, number, isDamaged: isDamaged(item))
            shard(item.digest).part.withLock { $0.insert(entry) }
        }
    }

    /// Says that the copy in this pack cannot be read.
    package func markDamaged(_ digest: Digest, in pack: PackID) {
        guard let number = number(of: pack) else { return }
        shard(digest).part.withLock { $0.markDamaged(digest, number) }
    }

    /// All copies, in the order in which their packs were added.
    package func places(of digest: Digest) -> [Place] {
        shard(digest).part.withLock { $0.all(of: digest) }.map { entry in
            Place(
                pack: pack(entry.number), number: entry.number, item: entry.item,
                isDamaged: entry.pack & Entry.flag != 0)
        }
    }

    /// The pack number and the length of a copy that can be read; `nil` when there is none.
    package func find(_ digest: Digest) -> (number: UInt32, length: UInt32)? {
        shard(digest).part.withLock { part in
            let found = part.slot(of: digest)
            guard part.slots[found] != 0 else { return nil }
            let first = part.entries[Int(part.slots[found]) - 1]
            if first.pack & Entry.flag == 0 { return (first.number, first.length & ~Entry.flag) }
            let other = part.copies[digest]?.first { $0.pack & Entry.flag == 0 }
            return other.map { ($0.number, $0.length & ~Entry.flag) }
        }
    }
}
