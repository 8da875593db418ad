import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import Synchronization

/// Reads, on all processors, what recording events name: tables of packs, and the pack sets and texts to keep.
struct PackSetReader {
    let objects: ObjectStore
    /// Packs are read as things stand.
    let condemnations: Condemnations

    struct Found: Sendable {
        /// Tables that the index lacks.
        var tables: [PackIndex] = []
        var objects: [(address: ObjectAddress, bytes: [UInt8])] = []
        /// Entries of which something is damaged or missing. It must not stand between the user and all that is sound:
        /// reading that content fails.
        var damaged: [UInt64] = []
        var bytes = 0
    }

    /// Marks and bytes of tables after which what was read is to be written.
    private static let marks = 2048
    private static let bytes = 32 << 20

    /// Reads from the front of `marks` and drops what was read.
    func read(_ marks: inout ArraySlice<PackSetMark>) throws(DFSError) -> Found {
        let batch = Self.distinct(marks.prefix(Self.marks))
        let state = Mutex((next: 0, found: Found(), failure: DFSError?.none))
        Workers.run(min(Workers.processorCount, (batch.count + 15) / 16)) { _ in
            while true {
                let next: Int? = state.withLock { state in
                    guard state.next < batch.count, state.found.bytes < Self.bytes, state.failure == nil else {
                        return nil
                    }
                    defer { state.next += 1 }
                    return state.next
                }
                guard let next else { return }
                var found = Found()
                do throws(DFSError) { try read(batch[next].mark, into: &found) } catch {
                    if error.code == .corrupt {
                        found.damaged.append(batch[next].mark.sequence)
                    } else {
                        state.withLock { $0.failure = error }
                    }
                }
                state.withLock { [found] state in
                    state.found.tables += found.tables
                    state.found.objects += found.objects
                    state.found.damaged += found.damaged
                    state.found.bytes += found.bytes
                }
            }
        }
        let (count, found, failure) = state.withLock { $0 }
        if let failure { throw failure }
        marks = count < batch.count ? marks[batch[count].position...] : marks.dropFirst(Self.marks)
        return found
    }

    /// Events of one entry may name the same pack; each is read once.
    private static func distinct(
        _ marks: ArraySlice<PackSetMark>
    ) -> [(position: Int, mark: PackSetMark)] {
        var seen = Set<[ObjectAddress?]>()
        return zip(marks.indices, marks).filter { position, mark in
            seen.insert([mark.packs, ObjectAddress(mark.pack.digest), mark.text]).inserted
        }.map { ($0, $1) }
    }

    private func read(_ mark: PackSetMark, into found: inout Found) throws(DFSError) {
        var packs = [PackIndex]()
        for id in condemnations.standing([mark.pack]).sorted() {
            let pack = try objects.readIndex(id)
            if try !objects.knows(id) { found.add(pack) }
            packs.append(pack)
        }
        let set = try object(mark.packs, packs, "the pack set of entry \(mark.sequence)")
        found.objects.append((mark.packs, set))
        if let text = mark.text, let pack = packs.first(where: { $0.find(text.digest) != nil }),
            let item = pack.find(text.digest)
        {
            found.objects.append((text, try objects.read(item, of: pack.id)))
        }
        for id in condemnations.standing(try PackSet.decode(set).added).sorted() where try !objects.knows(id) {
            found.add(try objects.readIndex(id))
        }
    }

    /// An object in the metadata pack that the entry names, or what stands in for it, or, should that not have it, wherever
    /// it is.
    private func object(_ address: ObjectAddress, _ packs: [PackIndex], _ what: String) throws(DFSError) -> [UInt8] {
        for pack in packs {
            if let item = pack.find(address.digest) { return try objects.read(item, of: pack.id) }
        }
        return try objects.object(address, what: what)
    }
}

extension PackSetReader.Found {
    fileprivate mutating func add(_ table: PackIndex) {
        tables.append(table)
        bytes += table.bytes.count
    }
}
