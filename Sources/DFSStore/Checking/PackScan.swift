import DFSChunking
import DFSModel
import DFSRemote
import DFSSystem
import Glibc
import Synchronization

/// The bytes of one pack, checked in ranges of items by any number of threads: read in large windows, digests taken where
/// the bytes lie.
final class PackScan: Sendable {
    /// What one thread needs, used again from range to range.
    final class Scratch: @unchecked Sendable {
        fileprivate var window = Buffer(count: PackScan.windowLength)
        fileprivate var content = Buffer(count: 1 << 20)

        fileprivate func window(_ count: Int) -> Buffer {
            if window.raw.count < count { window = Buffer(count: count) }
            return window
        }

        fileprivate func content(_ count: Int) -> Buffer {
            if content.raw.count < count { content = Buffer(count: count) }
            return content
        }
    }

    struct Found {
        var damaged = [Digest]()
        /// What is wrong with the first.
        var cause: String?
        /// Where bytes that no item covers are not zero.
        var dirtyGap: UInt64?
        fileprivate var first = UInt64.max
        fileprivate var open = 0
    }

    let index: PackIndex
    private let store: ObjectStore
    private let object: any BackendObject
    /// Bytes that are there and that the table tells of.
    private let length: UInt64
    private let readsItems: Bool
    /// Items in the order in which they lie in the pack.
    private let order: [UInt32]
    private let state = Mutex<Found>(Found())

    private static let windowLength = 4 << 20
    private static let rangeLength: UInt64 = 32 << 20

    init(store: ObjectStore, object: any BackendObject, index: PackIndex, length: UInt64, readsItems: Bool) {
        self.store = store
        self.object = object
        self.index = index
        self.length = length
        self.readsItems = readsItems
        let places = (0..<index.count).map { (offset: index[$0].offset, item: UInt32($0)) }
        order = places.sorted { $0 < $1 }.map(\.item)
    }

    var found: Found { state.withLock { $0 } }

    private func item(_ i: Int) -> PackItem { index[Int(order[i])] }

    private func end(_ item: PackItem) -> UInt64 { item.offset + UInt64(item.storedLength) }

    /// Cuts the pack into ranges of items, at least one.
    func ranges() -> [Range<Int>] {
        var ranges = [Range<Int>](), start = 0, from: UInt64 = 0
        for i in order.indices where end(item(i)) >= from + Self.rangeLength {
            ranges.append(start..<i + 1)
            start = i + 1
            from = end(item(i))
        }
        if start < order.count || ranges.isEmpty { ranges.append(start..<order.count) }
        state.withLock { $0.open = ranges.count }
        return ranges
    }

    /// Checks the items of a range, and what lies before and between them; the last range has what follows too. Returns
    /// whether no other range is left.
    func check(_ range: Range<Int>, _ scratch: Scratch, _ bytes: Counter) -> Bool {
        var result = Found()
        var covered: UInt64 = range.lowerBound == 0 ? 0 : end(item(range.lowerBound - 1))
        var i = range.lowerBound
        while i < range.upperBound {
            let next = item(i)
            if next.offset > covered + UInt64(Self.windowLength) || !readsItems || end(next) > length {
                gap(from: covered, to: min(next.offset, length), scratch, &result)
                covered = max(covered, next.offset)
            }
            if !readsItems || end(next) > length {
                if readsItems { note(next, "the pack ends before it does", &result) }
                covered = max(covered, min(end(next), length))
                i += 1
                continue
            }
            let (last, stop) = window(from: i, to: range.upperBound, covered)
            check(i..<last, covered..<stop, scratch, &result)
            bytes.increment(by: Int(stop - covered))
            covered = stop
            i = last
        }
        if range.upperBound == order.count, covered < length { gap(from: covered, to: length, scratch, &result) }
        return merge(result)
    }

    /// How many items, and bytes from `start`, are read at once.
    private func window(from first: Int, to limit: Int, _ start: UInt64) -> (last: Int, stop: UInt64) {
        var last = first, stop = start
        while last < limit {
            let next = item(last), end = end(next)
            guard end <= length, last == first || end <= start + UInt64(Self.windowLength) else { break }
            stop = max(stop, end)
            last += 1
        }
        return (last, stop)
    }

    private func check(_ items: Range<Int>, _ place: Range<UInt64>, _ scratch: Scratch, _ result: inout Found) {
        let buffer = scratch.window(place.count)
        let window = UnsafeMutableRawBufferPointer(rebasing: buffer.raw[..<place.count])
        do { try object.read(into: window, at: place.lowerBound) } catch {
            // Which of them cannot be read is found one by one.
            for i in items {
                do { _ = try store.read(item(i), of: index.id) } catch {
                    note(item(i), error.cause ?? error.what, &result)
                }
            }
            return
        }
        prefetch(after: place.upperBound)
        let bytes = UnsafeRawBufferPointer(window)
        var covered = place.lowerBound
        for i in items {
            let item = item(i)
            if item.offset > covered {
                let between = Int(covered - place.lowerBound)..<Int(item.offset - place.lowerBound)
                if !Self.isZero(UnsafeRawBufferPointer(rebasing: bytes[between])) {
                    result.dirtyGap = min(result.dirtyGap ?? covered, covered)
                }
            }
            covered = max(covered, end(item))
            let start = item.storedLength == 0 ? 0 : Int(item.offset - place.lowerBound)
            let stored = UnsafeRawBufferPointer(rebasing: bytes[start..<start + Int(item.storedLength)])
            do {
                guard try digest(of: stored, item, scratch) == item.digest else {
                    note(item, "its content has another SHA-256", &result)
                    continue
                }
            } catch { note(item, error.cause ?? error.what, &result) }
        }
    }

    private func digest(
        of stored: UnsafeRawBufferPointer, _ item: PackItem, _ scratch: Scratch
    ) throws(DFSError) -> Digest {
        guard item.codec == .zstd else { return Digest.of(stored) }
        let length = Int(item.length)
        // Before memory is taken for it.
        try Zstd.check(stored, length: length)
        let target = UnsafeMutableRawBufferPointer(rebasing: scratch.content(length).raw[..<length])
        try Zstd.decompress(stored, into: target)
        return Digest.of(UnsafeRawBufferPointer(target))
    }

    /// Asks the kernel to read on while this thread computes.
    private func prefetch(after offset: UInt64) {
        guard let file = object.descriptor, offset < length else { return }
        let count = min(UInt64(Self.windowLength), length - offset)
        // Advice: nothing depends on whether it is taken.
        _ = posix_fadvise(file.raw, off_t(offset), off_t(count), POSIX_FADV_WILLNEED)
    }

    private func note(_ item: PackItem, _ cause: String, _ result: inout Found) {
        result.damaged.append(item.digest)
        guard item.offset < result.first else { return }
        result.first = item.offset
        result.cause = "\(item.digest.text) at byte \(item.offset): \(cause)"
    }

    private func gap(from start: UInt64, to end: UInt64, _ scratch: Scratch, _ result: inout Found) {
        var at = start
        let buffer = scratch.window(Self.windowLength)
        while at < end {
            let count = Int(min(UInt64(Self.windowLength), end - at))
            let window = UnsafeMutableRawBufferPointer(rebasing: buffer.raw[..<count])
            do { try object.read(into: window, at: at) } catch { return dirty(at, &result) }
            if !Self.isZero(UnsafeRawBufferPointer(window)) { return dirty(at, &result) }
            at += UInt64(count)
        }
    }

    private func dirty(_ offset: UInt64, _ result: inout Found) {
        result.dirtyGap = min(result.dirtyGap ?? offset, offset)
    }

    static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return true }
        // Every byte equals the one before it, and the first is zero.
        return bytes[0] == 0 && memcmp(base, base + 1, bytes.count - 1) == 0
    }

    private func merge(_ result: Found) -> Bool {
        state.withLock { state in
            state.damaged += result.damaged
            if result.first < state.first { (state.first, state.cause) = (result.first, result.cause) }
            if let gap = result.dirtyGap { state.dirtyGap = min(state.dirtyGap ?? gap, gap) }
            state.open -= 1
            return state.open == 0
        }
    }
}
