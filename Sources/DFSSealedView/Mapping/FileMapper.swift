import DFSHistory
import DFSModel
import DFSStore
import DFSSystem

/// Where the bytes of a file are for an image.
enum FilePlacement {
    case empty
    /// Behind its inode.
    case inline([UInt8])
    /// In chunks of `1 << (12 + bits)` bytes.
    case chunks(bits: UInt16, [BlockAddress])
}

/// Finds for each file of a view how its bytes can be had without copying, and copies what cannot. Used by one thread.
///
/// A range of a pack can be mapped where it is raw, lies at the same distance to a block as in the file, and is followed by
/// zeros up to the next block where the file ends.
final class FileMapper {
    private let reader: TreeReader
    private let devices: Devices
    private let layouts: BoundedCache<PackID, PackLayout>
    private let hot: HotWriter
    private let totals: ViewTotals
    private var lastLayout: (pack: PackID, layout: PackLayout)?

    private static let block = UInt64(ErofsFormat.block)
    /// Chunks are at least this long, at which reading them one by one costs nothing (measured: research/storage-review.md).
    private static let leastChunkBits: UInt16 = 4
    /// So that the list of chunks stays small: one of 4 GiB has chunks of 1 MiB.
    private static let mostChunks: UInt64 = 4096

    init(
        reader: TreeReader, devices: Devices, layouts: BoundedCache<PackID, PackLayout>, hot: HotWriter,
        totals: ViewTotals
    ) {
        self.reader = reader
        self.devices = devices
        self.layouts = layouts
        self.hot = hot
        self.totals = totals
    }

    /// `inlineLimit`: how many bytes fit behind the inode.
    func place(_ file: TreeEntry, inlineLimit: Int) throws(DFSError) -> FilePlacement {
        guard file.size > 0 else { return .empty }
        let placement: FilePlacement
        if let address = file.address {
            placement = try place(try reader.recipe(address, of: file), file)
        } else {
            placement = try placeSingle(file, inlineLimit)
        }
        return placement
    }

    // MARK: Files of one chunk

    private func placeSingle(_ file: TreeEntry, _ inlineLimit: Int) throws(DFSError) -> FilePlacement {
        if file.size <= UInt64(inlineLimit) {
            totals.inlineBytes.increment(by: Int(file.size))
            return .inline(try reader.bytes(of: file))
        }
        if let (pack, item) = try reader.store.find(file.content.digest), item.codec == .raw,
            UInt64(item.length) == file.size, item.offset % Self.block == 0,
            try layout(of: pack).isPadded(from: item.offset + file.size),
            let address = try address(pack, item.offset)
        {
            totals.mappedBytes.increment(by: Int(file.size))
            return .chunks(bits: Self.bits(covering: file.size), [address])
        }
        return try copyWhole(file)
    }

    /// The least chunk that holds so many bytes.
    private static func bits(covering size: UInt64) -> UInt16 {
        var bits: UInt16 = 0
        while block << UInt64(bits) < size { bits += 1 }
        return bits
    }

    private func address(_ pack: PackID, _ offset: UInt64) throws(DFSError) -> BlockAddress? {
        guard let block = UInt32(exactly: offset / Self.block),
            let device = devices.number(of: pack, length: try layout(of: pack).index.packLength)
        else { return nil }
        return BlockAddress(device: device, block: block)
    }

    private func layout(of pack: PackID) throws(DFSError) -> PackLayout {
        if let last = lastLayout, last.pack == pack { return last.layout }
        let layout: PackLayout
        if let known = layouts[pack] {
            layout = known
        } else {
            layout = PackLayout(try reader.store.readIndex(pack))
            layouts.insert(layout, for: pack, cost: layout.cost)
        }
        lastLayout = (pack, layout)
        return layout
    }

    // MARK: Files of many chunks

    /// A range of a file that lies in one piece in a pack.
    private struct Run {
        let pack: PackID
        let start: UInt64
        var end: UInt64
        /// Where `start` is in the pack.
        let offset: UInt64
        var isAligned: Bool { offset % FileMapper.block == start % FileMapper.block }
        func offset(of position: UInt64) -> UInt64 { offset + (position - start) }
    }

    private func place(_ recipe: Recipe, _ file: TreeEntry) throws(DFSError) -> FilePlacement {
        let runs = try self.runs(of: recipe)
        if let run = runs.first, run.start == 0, run.end == file.size, run.isAligned,
            try layout(of: run.pack).isPadded(from: run.offset(of: file.size)),
            let address = try address(run.pack, run.offset)
        {
            totals.mappedBytes.increment(by: Int(file.size))
            return .chunks(bits: Self.bits(covering: file.size), [address])
        }
        var bits = Self.leastChunkBits
        while (file.size - 1) >> UInt64(12 + bits) >= Self.mostChunks { bits += 1 }
        let mapped = try mapChunks(of: file, runs, bits)
        guard mapped.contains(where: { $0 != nil }) else { return try copyWhole(file) }
        return .chunks(bits: bits, try copyMissing(of: file, mapped, bits))
    }

    /// The ranges of a file that are raw in packs; what is compressed is in none.
    private func runs(of recipe: Recipe) throws(DFSError) -> [Run] {
        var runs = [Run]()
        var open: Run?
        for (i, chunk) in recipe.chunks.enumerated() {
            let start = recipe.starts[i], end = start + UInt64(chunk.length)
            if var run = open,
                try layout(of: run.pack).holds(chunk.id.digest, length: chunk.length, at: run.offset(of: start))
            {
                run.end = end
                open = run
                continue
            }
            if let run = open { runs.append(run) }
            open = nil
            if let (pack, item) = try reader.store.find(chunk.id.digest), item.codec == .raw,
                item.length == chunk.length
            {
                open = Run(pack: pack, start: start, end: end, offset: item.offset)
            }
        }
        if let open { runs.append(open) }
        return runs
    }

    /// Whether what follows `end` in its block may be seen by whoever maps the last block of a file.
    private func canEnd(_ run: Run, at end: UInt64) throws(DFSError) -> Bool {
        if end % Self.block == 0 { return true }
        return try layout(of: run.pack).isPadded(from: run.offset(of: end))
    }

    private func mapChunks(of file: TreeEntry, _ runs: [Run], _ bits: UInt16) throws(DFSError) -> [BlockAddress?] {
        let length = Self.block << UInt64(bits)
        var out = [BlockAddress?]()
        var i = 0
        for start in stride(from: 0, to: file.size, by: Int(length)) {
            let end = min(start + length, file.size)
            while i < runs.count, runs[i].end < end { i += 1 }
            guard i < runs.count, runs[i].start <= start, runs[i].isAligned, try canEnd(runs[i], at: end) else {
                out.append(nil)
                continue
            }
            out.append(try address(runs[i].pack, runs[i].offset(of: start)))
        }
        return out
    }

    // MARK: Copies

    private func copyWhole(_ file: TreeEntry) throws(DFSError) -> FilePlacement {
        let bits = Self.bits(covering: file.size)
        let place = try hot.place(.whole(file.content), length: file.size) { put throws(DFSError) in
            try self.forEachPiece(of: file, 0..<file.size, put)
        }
        return .chunks(bits: bits, [place])
    }

    private func copyMissing(
        of file: TreeEntry, _ mapped: [BlockAddress?], _ bits: UInt16
    ) throws(DFSError) -> [BlockAddress] {
        let length = Self.block << UInt64(bits)
        var out = [BlockAddress]()
        out.reserveCapacity(mapped.count)
        for (i, known) in mapped.enumerated() {
            let start = UInt64(i) * length, end = min(start + length, file.size)
            if let known {
                totals.mappedBytes.increment(by: Int(end - start))
                out.append(known)
                continue
            }
            let place = try hot.place(.part(file.content, bits: bits, number: UInt32(i)), length: end - start) {
                put throws(DFSError) in
                try self.forEachPiece(of: file, start..<end, put)
            }
            out.append(place)
        }
        return out
    }

    private static let pieceLength = 1 << 20
    private lazy var piece = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceLength, alignment: 4096)

    /// The bytes of a range of a file, each checked against its digest, in pieces.
    private func forEachPiece(
        of file: TreeEntry, _ range: Range<UInt64>, _ body: (UnsafeRawBufferPointer) throws(DFSError) -> Void
    ) throws(DFSError) {
        var at = range.lowerBound
        while at < range.upperBound {
            let count = Int(min(UInt64(Self.pieceLength), range.upperBound - at))
            let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<count])
            guard try reader.read(file, at: at, into: part) == count else {
                throw DFSError(
                    .corrupt, "\(NameText.display(file.name)) ends early", hint: "dfs verify --data")
            }
            try body(UnsafeRawBufferPointer(part))
            at += UInt64(count)
        }
    }

    deinit { piece.deallocate() }
}

/// What the files of a view came to, in bytes and numbers.
final class ViewTotals: Sendable {
    let files = Counter(), directories = Counter(), symlinks = Counter()
    let mappedBytes = Counter(), copiedBytes = Counter(), reusedBytes = Counter(), inlineBytes = Counter()
}
