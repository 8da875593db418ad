import DFSModel
import DFSStore

/// What lies where in one pack.
final class PackLayout: Sendable {
    let index: PackIndex
    /// Items in order of their places.
    private let order: [UInt32]

    init(_ index: PackIndex) {
        self.index = index
        let places = (0..<index.count).map { (offset: index[$0].offset, item: UInt32($0)) }
        order = places.sorted { $0 < $1 }.map(\.item)
    }

    var cost: Int { index.bytes.count + order.count * 4 + 128 }

    private func item(_ i: Int) -> PackItem { index[Int(order[i])] }

    /// The position of the first item at or behind `offset`.
    private func position(of offset: UInt64) -> Int {
        var low = 0, high = order.count
        while low < high {
            let middle = (low + high) / 2
            if item(middle).offset < offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Whether the raw item with this digest lies at `offset`.
    func holds(_ digest: Digest, length: UInt32, at offset: UInt64) -> Bool {
        var i = position(of: offset)
        // Empty items may share an offset.
        while i < order.count, item(i).offset == offset {
            let item = item(i)
            if item.digest == digest, item.codec == .raw, item.length == length { return true }
            i += 1
        }
        return false
    }

    /// Whether nothing lies between `end`, where an item ends, and the next block: then zeros do (FORMAT.md §5).
    func isPadded(from end: UInt64) -> Bool {
        let block = UInt64(ErofsFormat.block)
        let next = ErofsFormat.roundedUp(end, to: block)
        if next == end { return true }
        guard index.kind == .shared, index.packLength >= next else { return false }
        let i = position(of: end)
        return i == order.count || item(i).offset >= next
    }
}
