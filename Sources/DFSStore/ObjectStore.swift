import DFSChunking
import DFSIndex
import DFSModel
import DFSRemote
import DFSSystem
import Glibc
import Synchronization

/// The immutable bytes of a store: chunks and metadata objects by digest.
///
/// Everything it returns was checked against its digest. Thread-safe; calls block.
package final class ObjectStore: Sendable {
    /// The tables that the host's index must have for this store.
    package static let indexTables = ChunkTable.tables + [VerifiedPacks.table]

    package let backend: any Backend
    package let description: StoreDescription
    let table: ChunkTable
    let verified: VerifiedPacks
    let scratch = ScratchBuffers()
    /// Whether pages of packs that were read are not kept: what is read goes into the page cache again, as files of a mount,
    /// and would be in memory twice.
    package let keepsNoPages = Atomic<Bool>(false)
    private let opened = Mutex<OpenPacks>(OpenPacks())

    package var parameters: StoreParameters { description.parameters }

    package init(backend: any Backend, description: StoreDescription, index: Index) {
        self.backend = backend
        self.description = description
        table = ChunkTable(index: index)
        verified = VerifiedPacks(index: index)
    }

    // MARK: Reading

    /// A metadata object.
    package func object(_ address: ObjectAddress, what: String = "an object") throws(DFSError) -> [UInt8] {
        try load(address.digest, what: what)
    }

    /// An object that this host may keep in its index besides: a text or a pack set.
    package func kept(_ address: ObjectAddress, what: String) throws(DFSError) -> [UInt8] {
        if let bytes = try table.object(address.digest), Digest.of(bytes) == address.digest { return bytes }
        return try load(address.digest, what: what)
    }

    package func json(_ address: ObjectAddress, what: String) throws(DFSError) -> JSONValue {
        try JSONValue.parseCanonical(try load(address.digest, what: what))
    }

    package func node(_ address: ObjectAddress) throws(DFSError) -> TreeNode {
        try TreeNode.decode(try load(address.digest, what: "a tree node"))
    }

    package func recipe(_ address: ObjectAddress) throws(DFSError) -> Recipe {
        try Recipe.decode(try load(address.digest, what: "a recipe"))
    }

    package func chunk(_ id: ChunkID) throws(DFSError) -> [UInt8] { try load(id.digest, what: "a chunk") }

    /// The pack and the place in it; looks into the packs' own tables when the index does not know.
    package func find(_ digest: Digest) throws(DFSError) -> (pack: PackID, item: PackItem)? {
        if let place = try table.place(of: digest) { return (place.pack, place.item) }
        var found: (PackID, PackItem)?
        try forEachPlace(of: digest) { pack, item in
            found = (pack, item)
            return false
        }
        return found
    }

    /// All places of a digest, from the packs' own tables, until `body` returns `false`.
    private func forEachPlace(of digest: Digest, _ body: (PackID, PackItem) -> Bool) throws(DFSError) {
        for pack in try table.packs() {
            guard let index = try? readIndex(pack), let item = index.find(digest) else { continue }
            if !body(pack, item) { return }
        }
    }

    /// The bytes with this digest, from any pack that has them whole; `.corrupt` when there is none.
    private func load(_ digest: Digest, what: String) throws(DFSError) -> [UInt8] {
        guard let place = try find(digest) else {
            throw DFSError(
                .corrupt, "\(what) is missing: \(digest.text)", cause: "no pack of \(backend.location) lists it",
                hint: "dfs verify")
        }
        do throws(DFSError) { return try read(place.item, of: place.pack) } catch {
            guard error.code == .corrupt else { throw error }
            var other: [UInt8]?
            try forEachPlace(of: digest) { pack, item in
                if pack != place.pack { other = try? self.read(item, of: pack) }
                return other == nil
            }
            guard let other else { throw error }
            return other
        }
    }

    /// Reads and checks one item of a pack.
    package func read(_ item: PackItem, of pack: PackID) throws(DFSError) -> [UInt8] {
        do throws(DFSError) { return try content(of: try stored(item, of: pack), item, pack) } catch {
            // The file may have been repaired since it was opened: the next read opens it again.
            if error.code == .corrupt { close(pack) }
            throw error
        }
    }

    /// The bytes of an item as the pack holds them, unchecked.
    func stored(_ item: PackItem, of pack: PackID) throws(DFSError) -> [UInt8] {
        let object = try open(pack)
        var failure: DFSError?
        let stored = [UInt8](unsafeUninitializedCapacity: Int(item.storedLength)) { buffer, count in
            do throws(DFSError) {
                let target = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: Int(item.storedLength))
                try object.read(into: target, at: item.offset)
                count = Int(item.storedLength)
            } catch { failure = error }
        }
        if let failure { throw failure }
        return stored
    }

    /// What the stored bytes of an item hold, checked against its digest.
    func content(of stored: [UInt8], _ item: PackItem, _ pack: PackID) throws(DFSError) -> [UInt8] {
        let bytes: [UInt8]
        switch item.codec {
        case .raw: bytes = stored
        case .zstd:
            var result: Result<[UInt8], DFSError> = .success([])
            stored.withUnsafeBytes { frame in
                do throws(DFSError) { result = .success(try Zstd.decompress(frame, length: Int(item.length))) } catch {
                    result = .failure(error)
                }
            }
            do { bytes = try result.get() } catch { throw damaged(item, pack, error.cause ?? error.what) }
        }
        #if DEBUG || DFS_DEFECTS
            if Defect.skipHash.isPlanted { return bytes }
        #endif
        guard Digest.of(bytes) == item.digest else { throw damaged(item, pack, "its bytes have another SHA-256") }
        return bytes
    }

    func damaged(_ item: PackItem, _ pack: PackID, _ cause: String) -> DFSError {
        DFSError(
            .corrupt, "\(backend.location)/\(PackIndex.packKey(pack)) is damaged at byte \(item.offset)",
            cause: "\(item.digest.text): \(cause)", hint: "dfs verify --data")
    }

    /// The pack that is a file of these chunks, byte for byte; `nil` when there is none.
    package func singleFile(of recipe: Recipe) throws(DFSError) -> (any BackendObject)? {
        try singleFilePack(of: recipe).map { pack throws(DFSError) in try open(pack) }
    }

    package func singleFilePack(of recipe: Recipe) throws(DFSError) -> PackID? {
        guard recipe.size >= parameters.singleFile, let first = recipe.chunks.first,
            let place = try table.place(of: first.id.digest), place.item.offset == 0
        else { return nil }
        let index = try readIndex(place.pack)
        guard index.kind == .singleFile, index.packLength == recipe.size, index.count == recipe.chunks.count else {
            return nil
        }
        // Another version of the same length may begin with the same bytes.
        for (chunk, start) in zip(recipe.chunks, recipe.starts) {
            guard index.holds(chunk.id.digest, at: start, length: chunk.length) else { return nil }
        }
        return place.pack
    }

    // MARK: Packs

    /// The table of a pack, from the store.
    package func readIndex(_ pack: PackID) throws(DFSError) -> PackIndex {
        guard let bytes = try backend.get(PackIndex.indexKey(pack), limit: PackIndex.maximumLength) else {
            throw DFSError(
                .corrupt, "\(backend.location)/\(PackIndex.indexKey(pack)) is missing", cause: "the ledger names it",
                hint: "dfs verify")
        }
        return try PackIndex.decode(bytes, expecting: pack)
    }

    /// Takes the tables of packs that the ledger reaches into this host's index.
    package func learn(_ packs: [PackID]) throws(DFSError) {
        var fresh = [PackIndex]()
        for pack in packs where try !table.knows(pack) { fresh.append(try readIndex(pack)) }
        try learn(tables: fresh)
    }

    package func learn(tables: [PackIndex]) throws(DFSError) {
        if !tables.isEmpty { try table.add(tables) }
    }

    /// Heeds a condemnation: from now on writers find nothing in these packs.
    package func condemn(_ packs: [PackID]) throws(DFSError) { try table.condemn(packs) }

    /// Takes in the table of a pack that stands in for condemned ones.
    package func redirect(to pack: PackID) throws(DFSError) { try table.redirect(to: try readIndex(pack)) }

    /// Forgets packs that were deleted.
    package func drop(_ packs: [PackID]) throws(DFSError) {
        try table.drop(packs)
        opened.withLock { $0.remove(packs) }
    }

    /// Takes in tables, and objects to keep, in one transaction, in which `also` writes the caller's own rows.
    package func learn(
        tables: [PackIndex], keeping objects: [(address: ObjectAddress, bytes: [UInt8])],
        also: (borrowing WriteTransaction) throws(DFSError) -> Void
    ) throws(DFSError) {
        try table.add(tables, keeping: objects, also: also)
    }

    /// Whether this host's index has the table of a pack.
    package func knows(_ pack: PackID) throws(DFSError) -> Bool { try table.knows(pack) }

    /// How many packs this host's index has the tables of.
    package var knownPacks: Int { get throws(DFSError) { try table.packs().count } }

    /// An open pack; a bounded number stay open.
    package func open(_ pack: PackID) throws(DFSError) -> any BackendObject {
        if let object = opened.withLock({ $0.objects[pack] }) { return object }
        let object: any BackendObject
        do {
            object = try backend.open(PackIndex.packKey(pack))
        } catch {
            guard error.errno == ENOENT else { throw error }
            throw DFSError(
                .corrupt, "\(backend.location)/\(PackIndex.packKey(pack)) is missing", cause: "the ledger names it",
                hint: "dfs verify")
        }
        opened.withLock { $0.insert(object, for: pack) }
        return object
    }

    /// Forgets that a pack is open.
    func close(_ pack: PackID) {
        opened.withLock { opened in
            opened.objects[pack] = nil
            opened.order.removeAll { $0 == pack }
        }
    }
}

private struct OpenPacks: Sendable {
    static let limit = 256
    var objects = [PackID: any BackendObject]()
    var order = [PackID]()

    mutating func insert(_ object: any BackendObject, for pack: PackID) {
        if objects.updateValue(object, forKey: pack) == nil { order.append(pack) }
        while order.count > Self.limit { objects[order.removeFirst()] = nil }
    }

    mutating func remove(_ packs: [PackID]) {
        let gone = Set(packs)
        for pack in packs { objects[pack] = nil }
        order.removeAll { gone.contains($0) }
    }
}
