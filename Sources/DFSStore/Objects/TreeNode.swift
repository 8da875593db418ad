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
        var scan = TreeNodeScan(level: level)
        var problem = bytes.withUnsafeBytes { raw in
            scan.items(Int(count), from: headerLength, of: raw) { offsets.append(UInt32(truncatingIfNeeded: $0)) }
        }
        if problem == nil, scan.position != bytes.count { problem = "bytes after the last item" }
        if problem == nil, scan.files != files || scan.size != size { problem = "totals do not add up" }
        if let problem {
            throw DFSError(.corrupt, "malformed tree node", cause: "\(problem) at byte \(scan.position)")
        }
        return TreeNode(bytes: bytes, level: level, files: files, size: size, offsets: offsets)
    }

    // MARK: Access after decoding

    /// The name of item `index`.
    package func name(_ index: Int) -> ArraySlice<UInt8> {
        let o = Int(offsets[index])
        let (start, length) = bytes.withUnsafeBytes { raw in
            level > 0
                ? (o + 56, Int(raw.integer(UInt16.self, o)))
                : (o + 72 + (raw[o + 1] == 1 ? 32 : 0), Int(raw.integer(UInt16.self, o + 4)))
        }
        return bytes[start..<start + length]
    }

    /// Whether the items are the same bytes. Both are in leaves.
    package func hasSame(_ index: Int, as other: TreeNode, _ otherIndex: Int) -> Bool {
        let a = range(of: index), b = other.range(of: otherIndex)
        guard a.count == b.count else { return false }
        return bytes.withUnsafeBytes { x in
            other.bytes.withUnsafeBytes { y in
                memcmp(x.baseAddress! + a.lowerBound, y.baseAddress! + b.lowerBound, a.count) == 0
            }
        }
    }

    private func range(of index: Int) -> Range<Int> {
        Int(offsets[index])..<(index + 1 < offsets.count ? Int(offsets[index + 1]) : bytes.count)
    }

    /// Entry `index` of a leaf.
    package func entry(_ index: Int) -> TreeEntry {
        let o = Int(offsets[index])
        return bytes.withUnsafeBytes { raw in
            let hasAddress = raw[o + 1] == 1
            let nameLength = Int(raw.integer(UInt16.self, o + 4)), targetLength = Int(raw.integer(UInt16.self, o + 6))
            let nameStart = o + 72 + (hasAddress ? 32 : 0)
            let nameEnd = nameStart + nameLength
            return TreeEntry(
                name: Array(raw[nameStart..<nameEnd]), kind: TreeEntry.Kind(rawValue: raw[o]) ?? .file,
                mode: raw.integer(UInt16.self, o + 2),
                modified: Timestamp(
                    seconds: raw.integer(Int64.self, o + 8), nanoseconds: raw.integer(UInt32.self, o + 16)),
                size: raw.integer(UInt64.self, o + 24), files: raw.integer(UInt64.self, o + 32),
                content: ContentDigest(raw.digest(o + 40)),
                address: hasAddress ? ObjectAddress(raw.digest(o + 72)) : nil,
                target: Array(raw[nameEnd..<nameEnd + targetLength]))
        }
    }

    /// Whether entry `index` of a leaf has the name, kind, executable bit and content of `entry`.
    package func agrees(_ index: Int, with entry: TreeEntry) -> Bool {
        let o = Int(offsets[index])
        return bytes.withUnsafeBytes { raw in
            let nameStart = o + 72 + (raw[o + 1] == 1 ? 32 : 0)
            let length = Int(raw.integer(UInt16.self, o + 4))
            guard length == entry.name.count, raw[o] == entry.kind.rawValue,
                raw.digest(o + 40) == entry.content.digest,
                entry.kind != .file || (raw.integer(UInt16.self, o + 2) & 0o100 != 0) == entry.isExecutable
            else { return false }
            return entry.name.withUnsafeBytes { memcmp(raw.baseAddress! + nameStart, $0.baseAddress!, length) == 0 }
        }
    }

    /// Child `index` of an inner node.
    package func child(_ index: Int) -> Child {
        let o = Int(offsets[index])
        let name = Array(name(index))
        return bytes.withUnsafeBytes { raw in
            Child(
                firstName: name, entries: raw.integer(UInt32.self, o + 4), files: raw.integer(UInt64.self, o + 8),
                size: raw.integer(UInt64.self, o + 16), address: ObjectAddress(raw.digest(o + 24)))
        }
    }

    /// The address of child `index` of an inner node.
    package func address(_ index: Int) -> ObjectAddress {
        bytes.withUnsafeBytes { ObjectAddress($0.digest(Int(offsets[index]) + 24)) }
    }

    /// The child of an inner node below which `name` stands if it is there.
    package func child(holding name: [UInt8]) -> ObjectAddress? {
        var i = lowerBound(name)
        if i == count || !self.name(i).elementsEqual(name) { i -= 1 }
        return i < 0 ? nil : address(i)
    }

    /// The entry of a leaf with this name.
    package func entry(named name: [UInt8]) -> TreeEntry? {
        let i = lowerBound(name)
        return i < count && self.name(i).elementsEqual(name) ? entry(i) : nil
    }

    /// The index of the first item whose name is not below `name`.
    package func lowerBound(_ name: [UInt8]) -> Int {
        var low = 0, high = count
        while low < high {
            let middle = (low + high) / 2
            if ByteOrder.compare(self.name(middle), name[...]) < 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
