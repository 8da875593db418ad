import DFSHistory
import DFSIndex
import DFSModel
import DFSSystem
import Glibc
import Synchronization

/// A file of uncompressed bytes at block boundaries, made for sealed views out of what no pack has that way.
struct HotPackID: Hashable, Sendable {
    let text: String

    static func make() -> HotPackID { HotPackID(Randomness.hex(bytes: 16)) }

    private init(_ text: String) { self.text = text }

    /// `nil` when it is no such name.
    init?(text: String) {
        guard text.utf8.count == 32, Hex.decode(text) != nil else { return nil }
        self.text = text
    }
}

/// Where in a hot pack something begins.
struct HotPlace: Sendable {
    let pack: HotPackID
    let packLength: UInt64
    let block: UInt32
}

/// Names what a hot pack holds.
enum HotKey: Hashable, Sendable {
    /// A whole file.
    case whole(ContentDigest)
    /// Chunk `number` of a file that is cut into chunks of `1 << (12 + bits)` bytes.
    case part(ContentDigest, bits: UInt16, number: UInt32)

    var bytes: [UInt8] {
        switch self {
        case .whole(let content): return [0x63] + content.digest.bytes
        case .part(let content, let bits, let number):
            return [0x63] + content.digest.bytes + [UInt8(bits)]
                + (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - $0 * 8)) }
        }
    }
}

/// The hot packs of a store on this host, and what is in them. Every byte was checked against its digest when it was
/// written; that nobody wrote to a file since is checked by its stamp. Thread-safe.
package final class HotPacks: Sendable {
    let directory: String
    private let index: Index
    /// Hot packs that were looked at: their length, or none when they cannot be used.
    private let seen = Mutex<[HotPackID: UInt64?]>([:])

    package init(directory: String, index: Index) {
        self.directory = directory
        self.index = index
    }

    func path(_ id: HotPackID) -> String { directory + "/\(id.text).hot" }

    /// Where something lies, in a pack that nobody has changed.
    func find(_ key: HotKey) throws(DFSError) -> HotPlace? {
        let row = try index.read { t throws(DFSError) in try t.get(Repository.hotTable, key.bytes) }
        guard let row, row.count == 36, let text = String(validating: row[..<32], as: UTF8.self),
            let id = HotPackID(text: text)
        else { return nil }
        guard let length = try length(of: id) else { return nil }
        let block = row[32...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return HotPlace(pack: id, packLength: length, block: block)
    }

    /// Forgets which were looked at: others may have removed some since.
    func lookAgain() { seen.withLock { $0.removeAll() } }

    private func length(of id: HotPackID) throws(DFSError) -> UInt64? {
        if let known = seen.withLock({ $0[id] }) { return known }
        var length: UInt64?
        if let file = try? open(id) { length = try FileStatus.of(file).size }
        seen.withLock { $0[id] = .some(length) }
        return length
    }

    /// The file of a hot pack that is as it was made. Throws where there is none, and where somebody wrote to it.
    func open(_ id: HotPackID) throws(DFSError) -> OwnedDescriptor {
        let file = try OwnedDescriptor.open(path(id), O_RDONLY | O_NOFOLLOW)
        let known = try index.read { t throws(DFSError) in try t.get(Repository.hotTable, Self.stampKey(id)) }
        let status = try FileStatus.of(file)
        guard let known, FileStamp(bytes: known) == FileStamp(status), status.uid == geteuid() else {
            throw DFSError(
                .corrupt, "\(path(id)) is not what was written", cause: "its length or its times are others",
                hint: "rm \(path(id))")
        }
        return file
    }

    /// Takes in a finished hot pack.
    func add(_ id: HotPackID, length: UInt64, _ items: [(key: HotKey, block: UInt32)]) throws(DFSError) {
        guard let stamp = try FileStamp.of(path: path(id)) else { return }
        try index.write { t throws(DFSError) in
            try t.put(Repository.hotTable, Self.stampKey(id), stamp.bytes)
            for (key, block) in items {
                let place = Array(id.text.utf8) + (0..<4).map { UInt8(truncatingIfNeeded: block >> (24 - $0 * 8)) }
                try t.put(Repository.hotTable, key.bytes, place)
            }
        }
        seen.withLock { $0[id] = .some(length) }
    }

    /// Those that are there, with their lengths.
    func all() throws(DFSError) -> [HotPackID: UInt64] {
        guard Files.isDirectory(directory) else { return [:] }
        var out = [HotPackID: UInt64]()
        for name in try DirectoryListing.names(of: directory) {
            let text = String(decoding: name, as: UTF8.self)
            guard text.hasSuffix(".hot"), let id = HotPackID(text: String(text.dropLast(4))),
                let status = try FileStatus.of(path: directory + "/" + text)
            else { continue }
            out[id] = status.size
        }
        return out
    }

    /// Deletes a hot pack. Rows that lead to it find nothing from then on.
    func remove(_ id: HotPackID) {
        unlink(path(id))
        seen.withLock { $0[id] = nil }
        _ = try? index.write { t throws(DFSError) in try t.delete(Repository.hotTable, Self.stampKey(id)) }
    }

    private static func stampKey(_ id: HotPackID) -> [UInt8] { [0x70] + Array(id.text.utf8) }
}

/// How many bytes may be copied for a view, over all threads.
final class HotBudget: Sendable {
    let limit: UInt64
    private let used = Atomic<UInt64>(0)

    init(limit: UInt64) { self.limit = limit }

    func take(_ bytes: UInt64) throws(DFSError) {
        let sum = used.wrappingAdd(bytes, ordering: .relaxed).newValue
        guard sum > limit else { return }
        throw DFSError(
            .refused, "a view of this version cannot be sealed here",
            cause: "more than \(ByteCount(limit)) of it would have to be copied into the cache",
            hint: "export DFS_CACHE_LIMIT=\(max(1, limit >> 28))G", errno: ENOSPC)
    }
}

/// Copies what cannot be mapped into a hot pack of its own, unless one has it already. Used by one thread.
final class HotWriter {
    private let packs: HotPacks
    private let devices: Devices
    private let budget: HotBudget
    private let totals: ViewTotals
    private var file: DurableFile?
    private let id = HotPackID.make()
    private var staged = [UInt8]()
    private var length: UInt64 = 0
    private var items = [(key: HotKey, block: UInt32)]()
    private var places = [HotKey: UInt32]()
    private static let stage = 1 << 20

    init(packs: HotPacks, devices: Devices, budget: HotBudget, totals: ViewTotals) {
        self.packs = packs
        self.devices = devices
        self.budget = budget
        self.totals = totals
    }

    /// The place of what `key` names; `write` gives its bytes when they have to be copied.
    func place(
        _ key: HotKey, length count: UInt64,
        _ write: ((UnsafeRawBufferPointer) throws(DFSError) -> Void) throws(DFSError) -> Void
    ) throws(DFSError) -> BlockAddress {
        if let block = places[key] { return try address(block) }
        // Where the image has no number left for the pack that holds it, it is copied once more.
        if let known = try packs.find(key), let device = devices.number(of: known.pack, length: known.packLength) {
            totals.reusedBytes.increment(by: Int(count))
            return BlockAddress(device: device, block: known.block)
        }
        try budget.take(ErofsFormat.roundedUp(count, to: UInt64(ErofsFormat.block)))
        let start = length
        guard let block = UInt32(exactly: start / UInt64(ErofsFormat.block)) else {
            throw DFSError(.operational, "a hot pack is too long", errno: EFBIG)
        }
        try write { bytes throws(DFSError) in try self.append(bytes) }
        guard length == start + count else {
            throw DFSError(.corrupt, "a file has not the length that its tree says", hint: "dfs verify --data")
        }
        try pad()
        totals.copiedBytes.increment(by: Int(count))
        places[key] = block
        items.append((key, block))
        return try address(block)
    }

    /// A block of the pack that is being written. `Devices.settle` tells its length later.
    private func address(_ block: UInt32) throws(DFSError) -> BlockAddress {
        guard let device = devices.number(ofNew: id) else {
            throw DFSError(
                .cannotServe, "a view of this version cannot be sealed",
                cause: "no number is left for what has to be copied", hint: "dfs mount")
        }
        return BlockAddress(device: device, block: block)
    }

    private func append(_ bytes: UnsafeRawBufferPointer) throws(DFSError) {
        staged.append(contentsOf: bytes)
        length += UInt64(bytes.count)
        if staged.count >= Self.stage { try flush() }
    }

    private func pad() throws(DFSError) {
        let padded = ErofsFormat.roundedUp(length, to: UInt64(ErofsFormat.block))
        staged.append(contentsOf: repeatElement(0, count: Int(padded - length)))
        length = padded
    }

    private func flush() throws(DFSError) {
        if file == nil {
            try Files.makeDirectories(packs.directory, mode: 0o700)
            file = try DurableFile(temporaryDirectory: packs.directory, mode: 0o400)
        }
        try file?.append(staged)
        staged.removeAll(keepingCapacity: true)
    }

    /// Makes the pack durable and known; its id and length, `nil` when nothing had to be copied.
    func finish() throws(DFSError) -> (id: HotPackID, length: UInt64)? {
        guard length > 0 else { return nil }
        try flush()
        guard let file else { return nil }
        try file.publish(as: packs.path(id))
        try packs.add(id, length: length, items)
        return (id, length)
    }
}
