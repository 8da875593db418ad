/// A branch or leaf page of an LMDB 0.9 file whose layout has been checked: every node lies inside the page, nodes
/// fill the upper part without gap or overlap, and its header is that of the page asked for.
struct LMDBPage {
    struct Node {
        let key: UnsafeRawBufferPointer
        let flags: UInt16
        /// Of a leaf: the length of the value.
        let valueLength: Int
        /// Of a leaf: the value, or the eight bytes that name its overflow page.
        let inline: UnsafeRawBufferPointer
        /// Of a branch.
        let child: UInt64
    }

    let isLeaf: Bool
    let nodes: [Node]

    private static let headerLength = 16
    private static let nodeHeader = 8
    static let branch: UInt16 = 0x01
    static let leaf: UInt16 = 0x02
    static let overflow: UInt16 = 0x04
    /// The value is on overflow pages.
    static let bigValue: UInt16 = 0x01
    /// The value describes a tree.
    static let subtree: UInt16 = 0x02

    init?(_ bytes: UnsafeRawBufferPointer, number: UInt64) {
        let page = PageView(bytes)
        let kind = page.half(10)
        guard page.word(0) == number, kind == Self.branch || kind == Self.leaf else { return nil }
        isLeaf = kind == Self.leaf
        let lower = Int(page.half(12))
        let upper = Int(page.half(14))
        guard lower >= Self.headerLength, lower & 1 == 0, lower <= upper, upper <= bytes.count else { return nil }
        let count = (lower - Self.headerLength) / 2
        // LMDB asserts two children at least, and keeps no empty leaf.
        guard count >= (isLeaf ? 1 : 2) else { return nil }
        var nodes: [Node] = []
        var extents: [Int] = []
        nodes.reserveCapacity(count)
        extents.reserveCapacity(count)
        for i in 0..<count {
            let offset = Int(page.half(Self.headerLength + 2 * i))
            guard offset >= upper, let (node, length) = Self.node(page, offset, isLeaf) else { return nil }
            nodes.append(node)
            extents.append(offset << 16 | length)
        }
        extents.sort()
        var end = upper
        for extent in extents {
            guard extent >> 16 == end else { return nil }
            end += extent & 0xFFFF
        }
        guard end == bytes.count else { return nil }
        self.nodes = nodes
    }

    private static func node(_ page: PageView, _ offset: Int, _ isLeaf: Bool) -> (Node, length: Int)? {
        guard offset & 1 == 0, offset + nodeHeader <= page.bytes.count else { return nil }
        let low = UInt64(page.half(offset)) | UInt64(page.half(offset + 2)) << 16
        let flags = page.half(offset + 4)
        let keyLength = Int(page.half(offset + 6))
        let isBig = isLeaf && flags & bigValue != 0
        let inlineLength = isLeaf ? (isBig ? 8 : Int(low)) : 0
        let length = (nodeHeader + keyLength + inlineLength + 1) & ~1
        guard offset + length <= page.bytes.count else { return nil }
        let key = page.slice(offset + nodeHeader, keyLength)
        let inline = page.slice(offset + nodeHeader + keyLength, inlineLength)
        let child = isLeaf ? 0 : low | UInt64(flags) << 32
        return (Node(key: key, flags: flags, valueLength: Int(low), inline: inline, child: child), length)
    }
}
