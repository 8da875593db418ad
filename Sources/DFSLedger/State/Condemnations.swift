import DFSModel

/// Packs that nothing needs any more, as one `gc.condemned` event lists them.
package struct Condemnation: Sendable, Hashable, Marked {
    /// In order.
    package let packs: [PackID]
    /// Where the content of a condemned pack that is still needed lies, for packs that held some.
    package let replacements: [PackID: [PackID]]
    package let mark: EntryMark
}

/// Condemned packs that were deleted.
package struct Deletion: Sendable, Hashable, Marked {
    /// The sequence of the entry that condemned them.
    package let condemned: UInt64
    package let packs: [PackID]
    package let mark: EntryMark
}

/// What the ledger says of collection: which packs are condemned, what stands in for them, and which are deleted.
///
/// An id never comes back, so a condemned pack stays condemned.
package struct Condemnations: Sendable, Hashable {
    package private(set) var all: [Condemnation] = []
    package private(set) var deletions: [Deletion] = []
    /// The place in `all`.
    private var positions: [PackID: Int] = [:]
    package private(set) var deleted: Set<PackID> = []

    /// The sequence of the last entry that condemned; 0: none. What a recording event must have heeded.
    package var newest: UInt64 { all.last?.sequence ?? 0 }

    package func contains(_ pack: PackID) -> Bool { positions[pack] != nil }

    package func condemnation(of pack: PackID) -> Condemnation? { positions[pack].map { all[$0] } }

    /// What stands in for each condemned pack, itself perhaps condemned later; nothing for those that held nothing needed.
    package var replacements: [PackID: [PackID]] {
        all.reduce(into: [:]) { $0.merge($1.replacements) { $1 } }
    }

    /// Those of `packs` that are not condemned, and what stands in for the others.
    package func standing(_ packs: some Sequence<PackID>) -> Set<PackID> {
        if all.isEmpty { return Set(packs) }
        var standing = Set<PackID>(), seen = Set<PackID>()
        var open = Array(packs)
        while let pack = open.popLast() {
            guard let condemnation = condemnation(of: pack) else {
                standing.insert(pack)
                continue
            }
            if seen.insert(pack).inserted { open += condemnation.replacements[pack] ?? [] }
        }
        return standing
    }

    /// Those of `packs` that an entry after `sequence` condemned.
    package func condemned(of packs: some Sequence<PackID>, after sequence: UInt64 = 0) -> Set<PackID> {
        if newest <= sequence { return [] }
        return Set(packs.filter { pack in condemnation(of: pack).map { $0.sequence > sequence } ?? false })
    }

    mutating func append(_ condemnation: Condemnation) {
        for pack in condemnation.packs { positions[pack] = all.count }
        all.append(condemnation)
    }

    mutating func append(_ deletion: Deletion) {
        deleted.formUnion(deletion.packs)
        deletions.append(deletion)
    }
}

/// A version that was taken out of a dataset.
package struct VersionRemoval: Sendable, Hashable, Marked {
    /// Whether all versions that the dataset had were taken.
    package let isWhole: Bool
    package let text: ObjectAddress
    package let mark: EntryMark
}
