import DFSModel

/// Cuts the sorted entries of one directory into nodes (FORMAT.md §4.2).
///
/// The result is a function of the entries alone, so equal directories share all their nodes, and a change
/// touches only the nodes around it. The cuts are a function of the names alone, so leaves can be made apart.
package struct TreeBuilder {
    package struct Node: Sendable {
        package let bytes: [UInt8]
        package let firstName: [UInt8]
        package let entries: UInt32
        package let files: UInt64
        package let size: UInt64
    }

    /// A stored node as the node above it lists it.
    package struct Item: Sendable {
        package let firstName: [UInt8]
        package let entries: UInt32
        package let files: UInt64
        package let size: UInt64
        package let address: ObjectAddress

        package init(
            firstName: [UInt8], entries: UInt32, files: UInt64, size: UInt64, address: ObjectAddress
        ) {
            self.firstName = firstName
            self.entries = entries
            self.files = files
            self.size = size
            self.address = address
        }

        package init(_ node: Node, at address: ObjectAddress) {
            self.init(
                firstName: node.firstName, entries: node.entries, files: node.files, size: node.size, address: address)
        }
    }

    /// Encodes `entries` (sorted by name, each valid). `put` stores a node and returns its address; the last
    /// node put is the root, whose address is returned.
    package static func build(
        _ entries: [TreeEntry], put: (Node) throws(DFSError) -> ObjectAddress
    ) throws(DFSError) -> ObjectAddress {
        var leaves = [Item]()
        for range in leafRanges(entries) {
            let node = leaf(entries[range])
            leaves.append(Item(node, at: try put(node)))
        }
        return try join(leaves, put: put)
    }

    /// Where `entries` are cut into leaves: whole entries, in order; one empty range for an empty directory.
    package static func leafRanges(_ entries: [TreeEntry]) -> [Range<Int>] {
        var ranges = [Range<Int>]()
        var start = 0
        for i in entries.indices where NameHash.of(entries[i].name) & 511 == 511 || i - start == 4095 {
            ranges.append(start..<i + 1)
            start = i + 1
        }
        if start < entries.count || entries.isEmpty { ranges.append(start..<entries.count) }
        return ranges
    }

    /// Makes the nodes above the leaves and returns the root's address.
    package static func join(
        _ leaves: [Item], put: (Node) throws(DFSError) -> ObjectAddress
    ) throws(DFSError) -> ObjectAddress {
        var items = leaves
        var level: UInt8 = 1
        while items.count > 1 {
            var upper = [Item]()
            for range in innerRanges(items.map(\.firstName), level: level) {
                let node = inner(items[range], level: level)
                upper.append(Item(node, at: try put(node)))
            }
            // A level that does not shrink would never end; a run of forced cuts cannot cause it.
            items = upper
            level += 1
        }
        return items[0].address
    }

    private static func innerRanges(_ names: [[UInt8]], level: UInt8) -> [Range<Int>] {
        var ranges = [Range<Int>]()
        var start = 0
        let shift = UInt64(min(9 * Int(level), 56))
        for i in names.indices {
            // A node of one child would make no progress, so a cut needs two.
            let cut = (NameHash.of(names[i]) >> shift) & 127 == 127 && i > start
            if cut || i - start == 1023 {
                ranges.append(start..<i + 1)
                start = i + 1
            }
        }
        if start < names.count { ranges.append(start..<names.count) }
        return ranges
    }

    private static func header(level: UInt8, count: Int, files: UInt64, size: UInt64) -> [UInt8] {
        var out = Array("DFST".utf8)
        out += [1, level, 0, 0]
        out.appendInteger(UInt32(count))
        out.appendInteger(UInt32(0))
        out.appendInteger(files)
        out.appendInteger(size)
        return out
    }

    package static func leaf(_ entries: ArraySlice<TreeEntry>) -> Node {
        var files: UInt64 = 0, size: UInt64 = 0
        for entry in entries {
            files += entry.kind == .directory ? entry.files : 1
            size += entry.kind == .symlink ? 0 : entry.size
        }
        var out = header(level: 0, count: entries.count, files: files, size: size)
        out.reserveCapacity(out.count + entries.reduce(0) { $0 + 104 + $1.name.count + $1.target.count })
        for entry in entries { append(entry, to: &out) }
        return Node(
            bytes: out, firstName: entries.first?.name ?? [], entries: UInt32(entries.count), files: files, size: size)
    }

    private static func append(_ entry: TreeEntry, to out: inout [UInt8]) {
        out.append(entry.kind.rawValue)
        out.append(entry.address == nil ? 0 : 1)
        out.appendInteger(entry.mode & 0o777)
        out.appendInteger(UInt16(entry.name.count))
        out.appendInteger(UInt16(entry.target.count))
        out.appendInteger(entry.modified.seconds)
        out.appendInteger(entry.modified.nanoseconds)
        out.appendInteger(UInt32(0))
        out.appendInteger(entry.size)
        out.appendInteger(entry.files)
        entry.content.digest.appendBytes(to: &out)
        if let address = entry.address { address.digest.appendBytes(to: &out) }
        out += entry.name
        out += entry.target
    }

    private static func inner(_ items: ArraySlice<Item>, level: UInt8) -> Node {
        let files = items.reduce(0) { $0 + $1.files }, size = items.reduce(0) { $0 + $1.size }
        let entries = items.reduce(0) { $0 + $1.entries }
        var out = header(level: level, count: items.count, files: files, size: size)
        for item in items {
            out.appendInteger(UInt16(item.firstName.count))
            out.appendInteger(UInt16(0))
            out.appendInteger(item.entries)
            out.appendInteger(item.files)
            out.appendInteger(item.size)
            item.address.digest.appendBytes(to: &out)
            out += item.firstName
        }
        return Node(bytes: out, firstName: items.first?.firstName ?? [], entries: entries, files: files, size: size)
    }
}
