import DFSChunking
import DFSModel
import DFSSystem
import Glibc
import Synchronization

/// Stores one file of `singleFile` bytes or more, window by window, on all cores.
///
/// While window k is hashed (whole file and per chunk), window k+1 is read and cut and window k-1 is written. A raw
/// file without any known chunk becomes a pack of its own; at the first known chunk the work starts over as chunks in
/// shared packs, so that only what is new is written. Where the file system can share extents (Btrfs, XFS), such a pack is
/// a clone of the file: nothing is written, and what is hashed is the clone, which no writer reaches.
final class LargeFile {
    private enum Form { case singleFile, raw, compressed }

    private let lane: Lane
    private let file: OwnedDescriptor
    private let size: UInt64
    private let path: @Sendable () -> String
    private let chunker: Chunker
    private var single: PackWriter?
    /// Whether `single` is a clone of the file.
    private var isCloned = false

    private static let windowBytes = 8 << 20

    init(lane: Lane, file: OwnedDescriptor, size: UInt64, path: @escaping @Sendable () -> String) {
        self.lane = lane
        self.file = file
        self.size = size
        self.path = path
        chunker = Chunker(lane.parameters.chunking(for: size))
    }

    func store() throws(DFSError) -> Lane.Stored {
        let form: Form = try isCompressible() ? .compressed : .singleFile
        if let stored = try attempt(form) { return stored }
        single = nil
        guard let stored = try attempt(.raw) else { throw Buffer.changed(path()) }
        return stored
    }

    /// Samples four places of the file.
    private func isCompressible() throws(DFSError) -> Bool {
        let sample = Buffer(count: 64 << 10)
        var worthwhile = 0
        for i in 0..<4 {
            let offset = size / 4 * UInt64(i)
            let n = try sample.read(from: file, at: offset, into: 0..<sample.raw.count, path)
            if Zstd.isWorthwhile(sample.bytes(n), percent: lane.parameters.zstdSaves) { worthwhile += 1 }
        }
        return worthwhile >= 2
    }

    // MARK: The pipeline

    /// Bytes of the file and how they were cut. `tail` bytes after the last cut belong to the next window.
    private final class Window: @unchecked Sendable {
        let buffer: Buffer
        let offset: UInt64
        var cuts = [Range<Int>]()
        var end = 0
        var filled = 0
        // One slot per cut; each is written by the one thread that took that job.
        let digests: UnsafeMutableBufferPointer<Digest>
        let frames: Mutex<[Int: [UInt8]]> = Mutex([:])

        init(buffer: Buffer, offset: UInt64, slots: Int) {
            self.buffer = buffer
            self.offset = offset
            digests = .allocate(capacity: slots)
            digests.initialize(repeating: .zero)
        }

        deinit { digests.deallocate() }

        func piece(_ i: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer.raw[cuts[i]]) }
    }

    private func attempt(_ form: Form) throws(DFSError) -> Lane.Stored? {
        var whole = Hasher256()
        var chunks = [Recipe.Chunk]()
        lane.beginFile()
        if form == .singleFile {
            let pack = try PackWriter(backend: lane.writer.store.backend, kind: .singleFile)
            isCloned = try pack.clone(file, size: size)
            single = pack
        } else {
            isCloned = false
        }
        var current: Window? = try readWindow(after: nil)
        var previous: Window?
        while current != nil || previous != nil {
            let (next, hashed) = try step(previous: previous, current: current, whole: whole, form)
            whole = hashed
            if let window = current {
                for (i, cut) in window.cuts.enumerated() {
                    chunks.append(Recipe.Chunk(id: ChunkID(window.digests[i]), length: UInt32(cut.count)))
                }
                if form == .singleFile, try meetsStoredChunk(window) { return nil }
            }
            previous = current
            current = next
        }
        return try finish(form, content: ContentDigest(whole.finish()), chunks)
    }

    /// One turn of the pipeline; the jobs are taken by whichever core is free.
    private func step(
        previous: Window?, current: Window?, whole: Hasher256, _ form: Form
    ) throws(DFSError) -> (next: Window?, whole: Hasher256) {
        let jobs = Atomic<Int>(0)
        let outcome = Mutex<(next: Window?, whole: Hasher256, failure: DFSError?)>((nil, whole, nil))
        let turn = Turn(file: self)
        let count = 3 + (current?.cuts.count ?? 0)
        Workers.run(Workers.processorCount) { _ in
            while true {
                let job = jobs.wrappingAdd(1, ordering: .relaxed).oldValue
                guard job < count else { return }
                do throws(DFSError) {
                    switch job {
                    case 0:
                        guard let current else { break }
                        var hasher = whole
                        hasher.update(current.buffer.bytes(current.end))
                        outcome.withLock { $0.whole = hasher }
                    case 1:
                        guard let current else { break }
                        let next = try turn.file.readWindow(after: current)
                        outcome.withLock { $0.next = next }
                    case 2: if let previous { try turn.file.write(previous, form) }
                    default: if let current { try turn.file.hash(current, job - 3, form) }
                    }
                } catch {
                    outcome.withLock { $0.failure = $0.failure ?? error }
                }
            }
        }
        let result = outcome.withLock { $0 }
        if let failure = result.failure { throw failure }
        return (result.next, result.whole)
    }

    /// Lets the jobs of one turn reach this object: each touches what no other job of the turn does.
    private struct Turn: @unchecked Sendable { let file: LargeFile }

    /// Reads and cuts the window that follows `last`; `nil` past the end.
    private func readWindow(after last: Window?) throws(DFSError) -> Window? {
        let offset = last.map { $0.offset + UInt64($0.end) } ?? 0
        guard offset < size else { return nil }
        let maximum = lane.parameters.chunking(for: size).maximum
        let minimum = lane.parameters.chunking(for: size).minimum
        let capacity = Self.windowBytes + maximum
        let window = Window(buffer: Buffer(count: capacity), offset: offset, slots: capacity / minimum + 2)
        var carried = 0
        if let last, last.end < last.filled {
            carried = last.filled - last.end
            window.buffer.raw.baseAddress?.copyMemory(
                from: last.buffer.raw.baseAddress! + last.end, byteCount: carried)
        }
        let wanted = Int(min(UInt64(capacity), size - offset))
        let got = try window.buffer.read(
            from: isCloned ? single?.clonedFile ?? file : file, at: offset + UInt64(carried), into: carried..<wanted,
            path)
        guard carried + got == wanted else { throw Buffer.changed(path()) }
        window.filled = wanted
        let isFinal = offset + UInt64(wanted) == size
        while window.end < wanted {
            let rest = UnsafeRawBufferPointer(rebasing: window.buffer.raw[window.end..<wanted])
            let length = chunker.cut(rest, final: isFinal)
            if length == 0 { break }
            window.cuts.append(window.end..<window.end + length)
            window.end += length
        }
        return window
    }

    private func hash(_ window: Window, _ i: Int, _ form: Form) throws(DFSError) {
        let piece = window.piece(i)
        window.digests[i] = Digest.of(piece)
        if form == .compressed, try lane.writer.store.table.lastingPlace(of: window.digests[i]) == nil,
            let frame = try lane.compressed(piece)
        {
            window.frames.withLock { $0[i] = frame }
        }
    }

    /// Asks without claiming: what goes into a pack of its own is stored only when that pack is finished, and until then
    /// the file may turn out to be another one.
    private func meetsStoredChunk(_ window: Window) throws(DFSError) -> Bool {
        for i in window.cuts.indices where try lane.writer.holds(window.digests[i]) { return true }
        return false
    }

    /// Writes what of a hashed window is new.
    private func write(_ window: Window, _ form: Form) throws(DFSError) {
        if let single, form == .singleFile {
            for (i, cut) in window.cuts.enumerated() {
                single.note(
                    window.digests[i], at: window.offset + UInt64(cut.lowerBound), storedLength: cut.count,
                    length: cut.count, codec: .raw)
                if !isCloned { try single.write(window.piece(i)) }
            }
            return
        }
        for (i, cut) in window.cuts.enumerated() where try lane.writer.claim(window.digests[i]) == .new {
            if let frame = window.frames.withLock({ $0[i] }) {
                try lane.appendTight(frame, window.digests[i], length: cut.count)
            } else {
                try lane.append(
                    window.piece(i), window.digests[i], fileOffset: window.offset + UInt64(cut.lowerBound),
                    compress: false)
            }
        }
    }

    private func finish(_ form: Form, content: ContentDigest, _ chunks: [Recipe.Chunk]) throws(DFSError) -> Lane.Stored
    {
        var extra: UInt8 = 0
        guard try System.call("cannot read \(path())", { pread(file.raw, &extra, 1, off_t(size)) }) == 0 else {
            throw Buffer.changed(path())
        }
        if let single {
            lane.writer.note(finished: try single.finish())
            for chunk in chunks {
                if try lane.writer.claim(chunk.id.digest) == .new { lane.note(Int(chunk.length)) }
            }
        }
        single = nil
        let recipe = Recipe(size: size, content: content, chunks: chunks)
        let encoded = recipe.encode()
        return Lane.Stored(
            content: content, size: size, recipe: try lane.writer.put(encoded), encodedRecipe: encoded)
    }
}
