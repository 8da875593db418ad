/// Numbers texts of bytes in the order in which they first come. Made for millions of paths: some twelve bytes for each, and
/// its own.
struct PathTable {
    private var bytes = [UInt8]()
    private var ends = [Int]()
    /// Numbers plus one, by hash; 0: free. At most half are taken.
    private var slots = [UInt32](repeating: 0, count: 1024)

    var count: Int { ends.count }

    subscript(n: Int) -> ArraySlice<UInt8> { bytes[(n == 0 ? 0 : ends[n - 1])..<ends[n]] }

    mutating func number(of path: UnsafeRawBufferPointer) -> (n: Int, isNew: Bool) {
        var slot = Self.hash(path) & (slots.count - 1)
        while slots[slot] != 0 {
            let n = Int(slots[slot]) - 1
            if self[n].elementsEqual(path) { return (n, false) }
            slot = (slot + 1) & (slots.count - 1)
        }
        bytes.append(contentsOf: path)
        ends.append(bytes.count)
        slots[slot] = UInt32(ends.count)
        if ends.count * 2 > slots.count { grow() }
        return (ends.count - 1, true)
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: slots.count * 4)
        let mask = slots.count - 1
        for n in ends.indices {
            var slot = self[n].withUnsafeBytes { Self.hash($0) } & mask
            while slots[slot] != 0 { slot = (slot + 1) & mask }
            slots[slot] = UInt32(n + 1)
        }
    }

    /// Eight bytes a step.
    private static func hash(_ path: UnsafeRawBufferPointer) -> Int {
        var state = UInt64(path.count) &* 0x9e37_79b9_7f4a_7c15
        var at = 0
        func mix(_ word: UInt64) {
            state = (state ^ word) &* 0xff51_afd7_ed55_8ccd
            state ^= state >> 32
        }
        while at + 8 <= path.count {
            mix(path.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            at += 8
        }
        var rest: UInt64 = 0
        for byte in path[at...] { rest = rest << 8 | UInt64(byte) }
        mix(rest)
        return Int(truncatingIfNeeded: state >> 1)
    }
}
