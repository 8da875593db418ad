import DFSSystem
import Glibc

/// Walks one snapshot of an LMDB 0.9 data file and tells whether LMDB can use it without harm: every page reachable
/// once, well formed and inside the file; keys in order; values with the right checksum; counts as recorded; free pages
/// free. Reads with pread, so a short file is an answer and not a signal.
///
/// The caller holds a read transaction, which keeps the pages of its snapshot from being written.
struct StructureCheck {
    private enum Kind: Equatable { case free, main, table(seed: UInt64) }
    private struct Counts {
        var branch: UInt64 = 0
        var leaf: UInt64 = 0
        var overflow: UInt64 = 0
        var entries: UInt64 = 0
    }

    private let fd: Int32
    private let meta: MetaPage
    private let pageSize: Int
    private var seen: [UInt64]
    private var counts = Counts()

    /// Pages at the end that were given out and freed in one transaction are never written; more than this is no
    /// accident of that kind.
    private static let mostUnwritten: UInt64 = 1 << 18
    private static let deepest: UInt16 = 32

    /// How often this process has walked a file.
    static let count = Counter()

    /// Whether the snapshot of `meta` is sound.
    static func passes(fd: Int32, meta: MetaPage) -> Bool {
        count.increment()
        var s = stat()
        guard fstat(fd, &s) == 0 else { return false }
        let pages = UInt64(s.st_size) / UInt64(meta.pageSize)
        guard pages >= 2, meta.lastPage < pages + mostUnwritten else { return false }
        var check = StructureCheck(fd: fd, meta: meta)
        return check.tree(meta.main, .main) && check.tree(meta.free, .free)
    }

    private init(fd: Int32, meta: MetaPage) {
        self.fd = fd
        self.meta = meta
        pageSize = meta.pageSize
        seen = [UInt64](repeating: 0, count: Int(meta.lastPage / 64) + 1)
        seen[0] = 0b11
    }

    /// Takes a page; false when it was taken before or does not exist.
    private mutating func take(_ page: UInt64) -> Bool {
        guard page <= meta.lastPage else { return false }
        let bit = UInt64(1) << (page & 63)
        guard seen[Int(page >> 6)] & bit == 0 else { return false }
        seen[Int(page >> 6)] |= bit
        return true
    }

    private func read(_ target: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Bool {
        var done = 0
        while done < target.count {
            guard let base = target.baseAddress else { return false }
            let n = pread(fd, base + done, target.count - done, off_t(offset) + off_t(done))
            if n < 0, errno == EINTR { continue }
            guard n > 0 else { return false }
            done += n
        }
        return true
    }

    private mutating func tree(_ record: TreeRecord, _ kind: Kind) -> Bool {
        if record.root == TreeRecord.noPage {
            return record.depth == 0 && record.entries == 0 && record.branchPages == 0 && record.leafPages == 0
                && record.overflowPages == 0
        }
        guard record.depth >= 1, record.depth <= Self.deepest else { return false }
        let outer = counts
        counts = Counts()
        defer { counts = outer }
        guard subtree(record.root, levels: record.depth, from: nil, to: nil, kind) else { return false }
        return counts.branch == record.branchPages && counts.leaf == record.leafPages
            && counts.overflow == record.overflowPages && counts.entries == record.entries
    }

    private mutating func subtree(
        _ number: UInt64, levels: UInt16, from: [UInt8]?, to: [UInt8]?, _ kind: Kind
    ) -> Bool {
        guard take(number) else { return false }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: pageSize, alignment: 16)
        defer { buffer.deallocate() }
        guard read(buffer, at: number * UInt64(pageSize)),
            let page = LMDBPage(UnsafeRawBufferPointer(buffer), number: number), page.isLeaf == (levels == 1),
            isInOrder(page, from: from, to: to, kind)
        else { return false }
        if page.isLeaf {
            counts.leaf += 1
            counts.entries += UInt64(page.nodes.count)
            for node in page.nodes { guard entry(node, kind) else { return false } }
            return true
        }
        counts.branch += 1
        // The first key of a branch page stands for everything below the second.
        let keys = page.nodes.dropFirst().map { [UInt8]($0.key) }
        for (i, node) in page.nodes.enumerated() {
            let low = i == 0 ? from : keys[i - 1]
            let high = i == keys.count ? to : keys[i]
            guard subtree(node.child, levels: levels - 1, from: low, to: high, kind) else { return false }
        }
        return true
    }

    // MARK: Keys

    /// Keys ascend, and none lies outside what the pages above say.
    private func isInOrder(_ page: LMDBPage, from: [UInt8]?, to: [UInt8]?, _ kind: Kind) -> Bool {
        let keys = page.nodes.dropFirst(page.isLeaf ? 0 : 1).map(\.key)
        for key in keys {
            guard key.count >= 1, key.count <= Transaction.longestKey else { return false }
            guard kind != .free || key.count == 8 else { return false }
        }
        for (key, next) in zip(keys, keys.dropFirst()) { guard Self.isLess(key, next, kind) else { return false } }
        guard let first = keys.first, let last = keys.last else { return false }
        if let from, from.withUnsafeBytes({ Self.isLess(first, $0, kind) }) { return false }
        if let to, !to.withUnsafeBytes({ Self.isLess(last, $0, kind) }) { return false }
        return true
    }

    private static func isLess(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer, _ kind: Kind) -> Bool {
        if kind == .free {
            guard a.count == 8, b.count == 8 else { return false }
            return PageView(a).word(0) < PageView(b).word(0)
        }
        guard let x = a.baseAddress, let y = b.baseAddress else { return a.count < b.count }
        let order = memcmp(x, y, min(a.count, b.count))
        return order == 0 ? a.count < b.count : order < 0
    }

    // MARK: Values

    private mutating func entry(_ node: LMDBPage.Node, _ kind: Kind) -> Bool {
        switch kind {
        case .main:
            guard node.flags == LMDBPage.subtree, node.valueLength == TreeRecord.byteCount else { return false }
            let record = TreeRecord(PageView(node.inline), at: 0)
            return record.flags == 0 && tree(record, .table(seed: Checksum.seed(node.key)))
        case .free:
            guard PageView(node.key).word(0) <= meta.transaction else { return false }
            return withValue(node) { check, value in check.freePages(value) }
        case .table(let seed):
            let key = node.key
            return withValue(node) { _, value in Transaction.isRight(seed: seed, key, value) }
        }
    }

    private mutating func withValue(
        _ node: LMDBPage.Node, _ body: (inout StructureCheck, UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        if node.flags == 0 { return body(&self, node.inline) }
        guard node.flags == LMDBPage.bigValue else { return false }
        let first = PageView(node.inline).word(0)
        guard first <= meta.lastPage else { return false }
        var header = [UInt8](repeating: 0, count: 16)
        guard header.withUnsafeMutableBytes({ read($0, at: first * UInt64(pageSize)) }) else { return false }
        let (number, kind, pages) = header.withUnsafeBytes { raw in
            let view = PageView(raw)
            return (view.word(0), view.half(10), UInt64(view.quarter(12)))
        }
        let needed = UInt64((16 + node.valueLength + pageSize - 1) / pageSize)
        guard number == first, kind == LMDBPage.overflow, pages >= needed, pages <= meta.lastPage else { return false }
        for page in first..<(first + pages) { guard take(page) else { return false } }
        counts.overflow += pages
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: node.valueLength, alignment: 16)
        defer { buffer.deallocate() }
        guard read(buffer, at: first * UInt64(pageSize) + 16) else { return false }
        return body(&self, UnsafeRawBufferPointer(buffer))
    }

    /// A list of page numbers: their count, then the numbers, the greatest first.
    private mutating func freePages(_ list: UnsafeRawBufferPointer) -> Bool {
        guard list.count >= 8, list.count & 7 == 0 else { return false }
        let view = PageView(list)
        let count = view.word(0)
        guard count <= UInt64(list.count / 8 - 1) else { return false }
        var previous = UInt64.max
        for i in 0..<Int(count) {
            let page = view.word(8 + 8 * i)
            guard page < previous, take(page) else { return false }
            previous = page
        }
        return true
    }
}
