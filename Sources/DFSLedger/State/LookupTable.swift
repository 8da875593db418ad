/// Positions of records by 64 bits of what they are looked up by. Copies share all parts but those changed since, so that
/// an append to a copy costs a small part of the table.
struct LookupTable: Sendable {
    private struct Item {
        let lookup: UInt64
        let position: Int
    }

    private var parts: [[Item]] = []
    private static let partCount = 512

    mutating func insert(_ lookup: UInt64, _ position: Int) {
        if parts.isEmpty { parts = Array(repeating: [], count: Self.partCount) }
        parts[Self.part(lookup)].append(Item(lookup: lookup, position: position))
    }

    /// The first position under `lookup` that `isMeant`: different things may share their 64 bits.
    func first(_ lookup: UInt64, where isMeant: (Int) -> Bool) -> Int? {
        guard !parts.isEmpty else { return nil }
        for item in parts[Self.part(lookup)] where item.lookup == lookup && isMeant(item.position) {
            return item.position
        }
        return nil
    }

    private static func part(_ lookup: UInt64) -> Int { Int(lookup >> 32) % partCount }

    /// The value of a text (FNV-1a, 64 bits).
    static func value(of text: String) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return hash
    }
}
