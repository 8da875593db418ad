import DFSModel
import DFSSystem
import Glibc

/// One pass over the items of a tree node that checks every field, so that hostile bytes end in an error and never in a trap.
struct TreeNodeScan {
    private let level: UInt8
    /// Where the pass is, or where it found a problem.
    private(set) var position = 0
    /// Sums over the items so far.
    private(set) var files: UInt64 = 0
    private(set) var size: UInt64 = 0

    // Sums are of numbers that fit a signed integer, so later arithmetic on them cannot trap.
    private static let maximumTotal: UInt64 = 1 << 62

    private enum Outcome {
        case item(name: Range<Int>, end: Int, files: UInt64, size: UInt64)
        case problem(String)
    }

    init(level: UInt8) { self.level = level }

    /// Calls `body` with where each item begins. Returns what is wrong, if anything is.
    mutating func items(_ count: Int, from start: Int, of raw: UnsafeRawBufferPointer, _ body: (Int) -> Void) -> String?
    {
        position = start
        var previous = 0..<0
        for _ in 0..<count {
            let outcome = level == 0 ? Self.leafItem(raw, position) : Self.innerItem(raw, position)
            guard case .item(let name, let end, let f, let s) = outcome else {
                if case .problem(let cause) = outcome { return cause }
                return nil
            }
            if name.count > 255 || Self.isForbidden(raw, name) { return "forbidden name" }
            if !previous.isEmpty, !Self.precedes(raw, previous, name) { return "names out of order" }
            let sums = (files.addingReportingOverflow(f), size.addingReportingOverflow(s))
            guard !sums.0.overflow, !sums.1.overflow, sums.0.partialValue <= Self.maximumTotal,
                sums.1.partialValue <= Self.maximumTotal
            else { return "counts overflow" }
            body(position)
            (files, size) = (sums.0.partialValue, sums.1.partialValue)
            previous = name
            position = end
        }
        return nil
    }

    private static func leafItem(_ raw: UnsafeRawBufferPointer, _ o: Int) -> Outcome {
        guard raw.count - o >= 72 else { return .problem("ends early") }
        guard let kind = TreeEntry.Kind(rawValue: raw[o]) else { return .problem("unknown kind") }
        let flags = raw[o + 1], mode = raw.integer(UInt16.self, o + 2)
        let nameLength = Int(raw.integer(UInt16.self, o + 4)), targetLength = Int(raw.integer(UInt16.self, o + 6))
        guard raw.integer(UInt32.self, o + 20) == 0 else { return .problem("reserved bytes set") }
        guard flags <= 1, mode <= 0o777, raw.integer(UInt32.self, o + 16) < 1_000_000_000 else {
            return .problem("field out of range")
        }
        let size = raw.integer(UInt64.self, o + 24), files = raw.integer(UInt64.self, o + 32)
        let nameStart = o + 72 + (flags == 1 ? 32 : 0)
        let name = nameStart..<nameStart + nameLength, end = nameStart + nameLength + targetLength
        guard end <= raw.count else { return .problem("ends early") }
        switch kind {
        case .file:
            guard targetLength == 0, files == 0 else { return .problem("file with a target") }
            return .item(name: name, end: end, files: 1, size: size)
        case .directory:
            guard targetLength == 0, flags == 1 else { return .problem("directory without an address") }
            return .item(name: name, end: end, files: files, size: size)
        case .symlink:
            guard (1...4095).contains(targetLength), flags == 0, size == UInt64(targetLength),
                !contains(raw, name.upperBound..<end, 0), files == 0, mode == 0o777
            else { return .problem("bad symlink") }
            return .item(name: name, end: end, files: 1, size: 0)
        }
    }

    private static func innerItem(_ raw: UnsafeRawBufferPointer, _ o: Int) -> Outcome {
        guard raw.count - o >= 56 else { return .problem("ends early") }
        guard raw.integer(UInt16.self, o + 2) == 0 else { return .problem("reserved bytes set") }
        guard raw.integer(UInt32.self, o + 4) > 0 else { return .problem("empty child") }
        let name = o + 56..<o + 56 + Int(raw.integer(UInt16.self, o))
        guard name.upperBound <= raw.count else { return .problem("ends early") }
        return .item(
            name: name, end: name.upperBound, files: raw.integer(UInt64.self, o + 8),
            size: raw.integer(UInt64.self, o + 16))
    }

    /// As `TreeEntry.isValid` has it.
    private static func isForbidden(_ raw: UnsafeRawBufferPointer, _ name: Range<Int>) -> Bool {
        if name.isEmpty || contains(raw, name, 0) || contains(raw, name, 0x2f) { return true }
        return name.count <= 2 && raw[name].allSatisfy { $0 == 0x2e }
    }

    private static func contains(_ raw: UnsafeRawBufferPointer, _ range: Range<Int>, _ byte: UInt8) -> Bool {
        guard !range.isEmpty, let base = raw.baseAddress else { return false }
        return memchr(base + range.lowerBound, Int32(byte), range.count) != nil
    }

    private static func precedes(_ raw: UnsafeRawBufferPointer, _ a: Range<Int>, _ b: Range<Int>) -> Bool {
        ByteOrder.compare(UnsafeRawBufferPointer(rebasing: raw[a]), UnsafeRawBufferPointer(rebasing: raw[b])) < 0
    }
}

extension UnsafeRawBufferPointer {
    /// The little-endian integer at an offset that was checked.
    func integer<T: FixedWidthInteger>(_ type: T.Type, _ offset: Int) -> T {
        T(littleEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    /// The digest at an offset that was checked.
    func digest(_ offset: Int) -> Digest { Digest(loading: self, at: offset) }
}
