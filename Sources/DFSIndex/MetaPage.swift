import Glibc

/// One of the two root pages of an LMDB 0.9 data file on a 64-bit little-endian host.
struct MetaPage {
    let pageSize: Int
    let mapSize: UInt64
    let lastPage: UInt64
    let transaction: UInt64
    let free: TreeRecord
    let main: TreeRecord

    /// What a root page takes, its page header included.
    static let byteCount = 152

    /// `nil` when these bytes are not root page `index` of a file this program would have made.
    init?(_ bytes: UnsafeRawBufferPointer, index: UInt64) {
        guard bytes.count >= Self.byteCount else { return nil }
        let page = PageView(bytes)
        guard page.word(0) == index, page.half(10) == 0x08, page.quarter(16) == 0xBEEF_C0DE, page.quarter(20) == 1
        else { return nil }
        free = TreeRecord(page, at: 40)
        main = TreeRecord(page, at: 88)
        pageSize = Int(free.pad)
        mapSize = page.word(32)
        lastPage = page.word(136)
        transaction = page.word(144)
        guard pageSize.nonzeroBitCount == 1, (4096...32768).contains(pageSize), free.flags == 0x08, main.flags == 0
        else { return nil }
        guard mapSize <= UInt64(Environment.largestMap), lastPage >= 1, lastPage < mapSize / UInt64(pageSize)
        else { return nil }
        // Transactions take turns; both pages of a new file say 0.
        guard transaction & 1 == index || transaction == 0 else { return nil }
    }
}

extension MetaPage {
    /// Both root pages; `nil` when they are not what LMDB leaves.
    ///
    /// A commit writes one of them while this reads, so what looks wrong is read again before it counts.
    static func both(_ fd: Int32) -> (MetaPage, MetaPage)? {
        for attempt in 0..<4 {
            if attempt > 0 { usleep(1000) }
            guard let first = read(fd, 0, pageSize: 4096), let second = read(fd, 1, pageSize: first.pageSize),
                second.pageSize == first.pageSize
            else { continue }
            // Each commit is one more than the last, and the two pages are the last two commits. Were that not checked, a
            // flipped bit in a number would bring an older snapshot back.
            let (low, high) = (min(first.transaction, second.transaction), max(first.transaction, second.transaction))
            if high - low == 1 || high == 0 { return (first, second) }
        }
        return nil
    }

    private static func read(_ fd: Int32, _ index: UInt64, pageSize: Int) -> MetaPage? {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        let count = bytes.withUnsafeMutableBytes { pread(fd, $0.baseAddress, $0.count, off_t(index) * off_t(pageSize)) }
        guard count == bytes.count else { return nil }
        return bytes.withUnsafeBytes { MetaPage($0, index: index) }
    }
}

/// How LMDB describes a tree (MDB_db).
struct TreeRecord {
    let pad: UInt32
    let flags: UInt16
    let depth: UInt16
    let branchPages: UInt64
    let leafPages: UInt64
    let overflowPages: UInt64
    let entries: UInt64
    let root: UInt64

    static let byteCount = 48
    /// The root of a tree without entries.
    static let noPage = UInt64.max

    init(_ page: PageView, at offset: Int) {
        pad = page.quarter(offset)
        flags = page.half(offset + 4)
        depth = page.half(offset + 6)
        branchPages = page.word(offset + 8)
        leafPages = page.word(offset + 16)
        overflowPages = page.word(offset + 24)
        entries = page.word(offset + 32)
        root = page.word(offset + 40)
    }
}

/// Little-endian numbers in a page. Offsets are the caller's to check.
struct PageView {
    let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    func half(_ offset: Int) -> UInt16 {
        UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }
    func quarter(_ offset: Int) -> UInt32 {
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    func word(_ offset: Int) -> UInt64 {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    func slice(_ offset: Int, _ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
    }
}
