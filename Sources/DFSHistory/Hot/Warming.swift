import DFSModel
import DFSRemote
import DFSStore
import DFSSystem
import Glibc
import Synchronization

/// Brings what a tree holds into the caches of this host: the packs' bytes into memory, and for files that the kernel could
/// read by itself what it needs for that.
package final class Warming: Sendable {
    package struct Skipped: Sendable, Equatable {
        package var reason: String
        package var files: Int
        package var bytes: UInt64
    }

    package struct Summary: Sendable {
        package var files = 0
        package var bytes: UInt64 = 0
        /// Hot copies made, and those that were there.
        package var hotMade = 0, hotPresent = 0
        package var hotBytes: UInt64 = 0
        /// Bytes of packs read into memory; verified ones are among them.
        package var cachedBytes: UInt64 = 0
        package var verifiedBytes: UInt64 = 0
        package var skipped = [Skipped]()

        mutating func skip(_ reason: String, bytes: UInt64, files: Int = 1) {
            if let i = skipped.firstIndex(where: { $0.reason == reason }) {
                skipped[i].files += files
                skipped[i].bytes += bytes
            } else {
                skipped.append(Skipped(reason: reason, files: files, bytes: bytes))
            }
        }
    }

    /// Bytes of packs that one job reads.
    private static let portion: UInt64 = 32 << 20

    private let reader: TreeReader
    private let hot: HotFiles
    /// Why the kernel cannot read files by itself here; `nil` when it can.
    private let obstacle: String?
    private let threads: Int
    private let counting: (files: Counter, bytes: Counter)
    private let memory: UInt64

    /// `memory`: bytes that may be brought into memory; by default what is available.
    package init(
        reader: TreeReader, hot: HotFiles, obstacle: String?, memory: UInt64? = nil,
        threads: Int = Workers.processorCount, counting: (files: Counter, bytes: Counter) = (Counter(), Counter())
    ) {
        self.reader = reader
        self.hot = hot
        self.obstacle = obstacle
        self.memory = memory ?? AvailableMemory.bytes()
        self.threads = threads
        self.counting = counting
    }

    package func run(_ root: TreeEntry) throws(DFSError) -> Summary {
        var summary = Summary()
        var ranges = PackRanges()
        var seen = Set<ContentDigest>()
        func visit(_ file: TreeEntry) throws(DFSError) {
            guard file.kind == .file else { return }
            summary.files += 1
            summary.bytes += file.size
            counting.files.increment()
            guard seen.insert(file.content).inserted, file.size > 0 else {
                counting.bytes.increment(by: Int(clamping: file.size))
                return
            }
            try self.warm(file, &summary, &ranges)
        }
        if root.kind == .directory {
            try reader.walk(root) { _, file throws(DFSError) in try visit(file) }
        } else {
            try visit(root)
        }
        try read(ranges, &summary)
        return summary
    }

    private func warm(_ file: TreeEntry, _ summary: inout Summary, _ ranges: inout PackRanges) throws(DFSError) {
        guard let address = file.address else {
            return try ranges.add(ChunkID(file.content.digest), reader.store)
        }
        let recipe = try reader.recipe(address, of: file)
        if let pack = try reader.store.singleFilePack(of: recipe) {
            // Until it is verified the kernel may not read it; that brings it into memory as well.
            if obstacle == nil, try !reader.store.unverified([pack]).isEmpty {
                try reader.store.verify([pack], threads: threads, bytes: counting.bytes)
                summary.verifiedBytes += file.size
                summary.cachedBytes += file.size
                return
            }
        } else if file.size >= LocalFiles.smallestHot {
            if let obstacle {
                summary.skip("no hot copy: \(obstacle)", bytes: file.size)
            } else if try makeHot(file, &summary) {
                return
            }
        }
        for chunk in recipe.chunks { try ranges.add(chunk.id, reader.store) }
    }

    /// Whether the kernel has a copy to read.
    private func makeHot(_ file: TreeEntry, _ summary: inout Summary) throws(DFSError) -> Bool {
        // What this call makes is not to go for what it makes next.
        hot.pin(file.content)
        switch try hot.make(file) {
        case .made:
            summary.hotMade += 1
            summary.hotBytes += file.size
        case .present: summary.hotPresent += 1
        case .skipped(let reason):
            summary.skip("no hot copy: \(reason)", bytes: file.size)
            return false
        }
        counting.bytes.increment(by: Int(clamping: file.size))
        return true
    }

    // MARK: Packs

    private func read(_ ranges: PackRanges, _ summary: inout Summary) throws(DFSError) {
        var left = memory
        var jobs = [PackRanges.Range]()
        for range in ranges.merged(portion: Self.portion) {
            if range.length <= left {
                left -= range.length
                jobs.append(range)
            } else {
                summary.skip("not enough memory to keep all packs' bytes", bytes: range.length, files: 0)
            }
        }
        let stack = WorkStack<PackRanges.Range>()
        stack.push(jobs.reversed())
        let buffers = (0..<max(1, threads)).map { _ in Scratch() }
        let done = Counter()
        try stack.run(threads: threads) { thread, range throws(DFSError) in
            try self.read(range, buffers[thread])
            done.increment(by: Int(range.length))
        }
        summary.cachedBytes += UInt64(done.current)
    }

    private final class Scratch: @unchecked Sendable {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        deinit { memory.deallocate() }
    }

    private func read(_ range: PackRanges.Range, _ scratch: Scratch) throws(DFSError) {
        let object = try reader.store.open(range.pack)
        if let file = object.descriptor {
            // Advice: reading brings them in as well, only later.
            _ = posix_fadvise(file.raw, off_t(range.start), off_t(range.length), POSIX_FADV_WILLNEED)
        }
        var at = range.start
        while at < range.end {
            let count = Int(min(UInt64(scratch.memory.count), range.end - at))
            try object.read(into: UnsafeMutableRawBufferPointer(rebasing: scratch.memory[..<count]), at: at)
            counting.bytes.increment(by: count)
            at += UInt64(count)
        }
    }
}

/// Where bytes lie in packs.
private struct PackRanges {
    struct Range: Sendable {
        var pack: PackID
        var start: UInt64
        var end: UInt64
        var length: UInt64 { end - start }
    }

    private var ranges = [PackID: [(start: UInt64, end: UInt64)]]()

    mutating func add(_ id: ChunkID, _ store: ObjectStore) throws(DFSError) {
        guard let (pack, item) = try store.find(id.digest) else { return }
        let end = item.offset + UInt64(item.storedLength)
        // Files of one directory mostly lie one after the other, up to their alignment.
        if let last = ranges[pack]?.last, item.offset >= last.start, item.offset <= last.end + 4096 {
            ranges[pack]?.removeLast()
            ranges[pack]?.append((last.start, max(last.end, end)))
        } else {
            ranges[pack, default: []].append((item.offset, end))
        }
    }

    /// All of them in order, without overlaps, cut into pieces of at most `portion` bytes.
    func merged(portion: UInt64) -> [Range] {
        var out = [Range]()
        for (pack, ranges) in ranges.sorted(by: { $0.key < $1.key }) {
            var joined = [(start: UInt64, end: UInt64)]()
            for range in ranges.sorted(by: { $0.start < $1.start }) {
                if let last = joined.last, range.start <= last.end + 4096 {
                    joined[joined.count - 1].end = max(last.end, range.end)
                } else {
                    joined.append(range)
                }
            }
            for range in joined {
                for start in stride(from: range.start, to: range.end, by: Int(portion)) {
                    out.append(Range(pack: pack, start: start, end: min(start + portion, range.end)))
                }
            }
        }
        return out
    }
}
