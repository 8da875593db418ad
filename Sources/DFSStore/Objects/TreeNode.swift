import DFSModel
import DFSSystem
import Glibc

/// One node of a directory, kept as its bytes; items are decoded when asked for.
///
/// Layout: FORMAT.md §4.2. `decode` checks every length, the order of names and the counts once, so that later
/// access cannot fail.
package struct TreeNode: Sendable {
    package let bytes: [UInt8]
    package let level: UInt8
    package let files: UInt64
    package let size: UInt64
    private let offsets: [UInt32]

    static let headerLength = 32
    private static let maximumTotal: UInt64 = 1 << 62

    package var count: Int { offsets.count }

    package struct Child: Sendable {
        package let firstName: [UInt8]
        package let entries: UInt32
        package let files: UInt64
        package let size: UInt64
        package let address: ObjectAddress
    }

    package static func decode(_ bytes: [UInt8]) throws(DFSError) -> TreeNode {
        var r = BinaryReader(bytes, what: "tree node")
        try r.expect(Array("DFST".utf8), "no DFST")
        guard try r.integer(UInt8.self) == 1 else {
            throw DFSError(.newerFormat, "a tree node of a newer format", hint: "install a newer dfs")
        }
        let level = try r.integer(UInt8.self)
        try r.expect([0, 0], "reserved bytes set")
        let count = try r.integer(UInt32.self)
        try r.expect([0, 0, 0, 0], "reserved bytes set")
        let files = try r.integer(UInt64.self)
        let size = try r.integer(UInt64.self)
        guard level <= 16, Int(count) <= bytes.count / 48, level == 0 || count > 0 else {
            throw r.problem("implausible counts")
        }
        var offsets = [UInt32]()
        offsets.reserveCapacity(Int(count))
        var previous = 0..<0
        var sums = (files: UInt64(0), size: UInt64(0))
        for _ in 0..<count {
            offsets.append(UInt32(r.position))
            let item = level == 0 ? try checkLeafItem(&r) : try checkInnerItem(&r)
            guard ByteOrder.precedes(bytes, previous, item.name.indices) else {
                throw r.problem("names out of order")
            }
            previous = item.name.indices
            let f = sums.files.addingReportingOverflow(item.files), s = sums.size.addingReportingOverflow(item.size)
            // Sums are of numbers that fit a signed integer, so later arithmetic on them cannot trap.
            guard !f.overflow, !s.overflow, f.partialValue <= maximumTotal, s.partialValue <= maximumTotal else {
                throw r.problem("counts overflow")
            }
            sums = (f.partialValue, s.partialValue)
        }
        guard r.remaining == 0 else { throw r.problem("bytes after the last item") }
        guard sums.files == files, sums.size == size else { throw r.problem("totals do not add up") }
        return TreeNode(bytes: bytes, level: level, files: files, size: size, offsets: offsets)
    }

    private static func checkLeafItem(
        _ r: inout BinaryReader
    ) throws(DFSError) -> (name: ArraySlice<UInt8>, files: UInt64, size: UInt64) {
        guard let kind = TreeEntry.Kind(rawValue: try r.integer(UInt8.self)) else { throw r.problem("unknown kind") }
        let flags = try r.integer(UInt8.self)
        let mode = try r.integer(UInt16.self)
        let nameLength = Int(try r.integer(UInt16.self))
        let targetLength = Int(try r.integer(UInt16.self))
        _ = try r.integer(Int64.self)
        let nanoseconds = try r.integer(UInt32.self)
        try r.expect([0, 0, 0, 0], "reserved bytes set")
        let size = try r.integer(UInt64.self)
        let files = try r.integer(UInt64.self)
        _ = try r.digest()
        guard flags <= 1, mode <= 0o777, nanoseconds < 1_000_000_000 else { throw r.problem("field out of range") }
        if flags == 1 { _ = try r.digest() }
        let name = try r.take(nameLength)
        guard TreeEntry.isValid(name: name) else { throw r.problem("forbidden name") }
        let target = try r.take(targetLength)
        switch kind {
        case .file:
            guard targetLength == 0, files == 0 else { throw r.problem("file with a target") }
            return (name, 1, size)
        case .directory:
            guard targetLength == 0, flags == 1 else { throw r.problem("directory without an address") }
            return (name, files, size)
        case .symlink:
            guard (1...4095).contains(targetLength), flags == 0, size == UInt64(targetLength), !target.contains(0),
                files == 0, mode == 0o777
            else { throw r.problem("bad symlink") }
            return (name, 1, 0)
        }
    }

    private static func checkInnerItem(
        _ r: inout BinaryReader
    ) throws(DFSError) -> (name: ArraySlice<UInt8>, files: UInt64, size: UInt64) {
        let nameLength = Int(try r.integer(UInt16.self))
        try r.expect([0, 0], "reserved bytes set")
        guard try r.integer(UInt32.self) > 0 else { throw r.problem("empty child") }
        let files = try r.integer(UInt64.self)
        let size = try r.integer(UInt64.self)
        _ = try r.digest()
        let name = try r.take(nameLength)
        guard TreeEntry.isValid(name: name) else { throw r.problem("forbidden name") }
        return (name, files, size)
    }

    // MARK: Access after decoding

    private func fixed<T: FixedWidthInteger>(_ type: T.Type, _ offset: Int) -> T {
        bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
    }

    private func digest(_ offset: Int) -> Digest { bytes.withUnsafeBytes { Digest(loading: $0, at: offset) } }

    /// The name of item `index`.
    package func name(_ index: Int) -> ArraySlice<UInt8> {
        let o = Int(offsets[index])
        if level > 0 {
            return bytes[o + 56..<o + 56 + Int(fixed(UInt16.self, o))]
        }
        let start = o + 72 + (bytes[o + 1] == 1 ? 32 : 0)
        return bytes[start..<start + Int(fixed(UInt16.self, o + 4))]
    }

    /// Entry `index` of a leaf.
    package func entry(_ index: Int) -> TreeEntry {
        let o = Int(offsets[index])
        let hasAddress = bytes[o + 1] == 1
        let nameLength = Int(fixed(UInt16.self, o + 4)), targetLength = Int(fixed(UInt16.self, o + 6))
        let nameStart = o + 72 + (hasAddress ? 32 : 0)
        return TreeEntry(
            name: Array(bytes[nameStart..<nameStart + nameLength]),
            kind: TreeEntry.Kind(rawValue: bytes[o]) ?? .file,
            mode: fixed(UInt16.self, o + 2),
            modified: Timestamp(seconds: fixed(Int64.self, o + 8), nanoseconds: fixed(UInt32.self, o + 16)),
            size: fixed(UInt64.self, o + 24), files: fixed(UInt64.self, o + 32),
            content: ContentDigest(digest(o + 40)),
            address: hasAddress ? ObjectAddress(digest(o + 72)) : nil,
            target: Array(bytes[nameStart + nameLength..<nameStart + nameLength + targetLength]))
    }

    /// Whether entry `index` of a leaf has the name, kind, executable bit and content of `entry`.
    package func agrees(_ index: Int, with entry: TreeEntry) -> Bool {
        let o = Int(offsets[index])
        let nameStart = o + 72 + (bytes[o + 1] == 1 ? 32 : 0)
        let length = Int(fixed(UInt16.self, o + 4))
        guard length == entry.name.count, bytes[o] == entry.kind.rawValue, digest(o + 40) == entry.content.digest,
            entry.kind != .file || (fixed(UInt16.self, o + 2) & 0o100 != 0) == entry.isExecutable
        else { return false }
        return bytes.withUnsafeBytes { node in
            entry.name.withUnsafeBytes { memcmp(node.baseAddress! + nameStart, $0.baseAddress!, length) == 0 }
        }
    }

    /// Child `index` of an inner node.
    package func child(_ index: Int) -> Child {
        let o = Int(offsets[index])
        return Child(
            firstName: Array(name(index)), entries: fixed(UInt32.self, o + 4), files: fixed(UInt64.self, o + 8),
            size: fixed(UInt64.self, o + 16),
            address: ObjectAddress(digest(o + 24)))
    }

    /// The index of the first item whose name is not below `name`.
    package func lowerBound(_ name: [UInt8]) -> Int {
        var low = 0, high = count
        while low < high {
            let middle = (low + high) / 2
            if self.name(middle).lexicographicallyPrecedes(name) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
