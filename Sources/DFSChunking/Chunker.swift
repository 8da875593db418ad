import DFSModel

/// Cut points of normalised gear-hash content-defined chunking.
///
/// The gear hash shifts left by one bit per byte, so it is a function of the last 64 bytes alone and a cut depends on
/// content only: after an insertion the cuts fall back into step. A chunk ends after the first byte at which the
/// bits of a mask are all zero in the hash: two bits more than the average asks for up to the average length, two bits
/// fewer after it. This narrows the spread of the lengths around the average. The mask takes bits from 62 down: high
/// bits depend on most bytes, and bit 63 stays free for the step of two bytes below.
package struct Chunker: Sendable {
    package let parameters: ChunkParameters
    private let minimum: Int
    private let average: Int
    private let maximum: Int
    private let strict: UInt64
    private let loose: UInt64

    /// How many bytes the hash remembers.
    private static let window = 64

    /// Parameters that are not `isValid` do not trap: they are raised or lowered to the nearest that are usable.
    package init(_ p: ChunkParameters) {
        parameters = p
        minimum = max(1, p.minimum)
        average = max(minimum, p.average)
        maximum = max(average, p.maximum)
        let bits = max(4, min(40, Int.bitWidth - 1 - max(1, p.average).leadingZeroBitCount))
        strict = Self.mask(bits: bits + 2)
        loose = Self.mask(bits: bits - 2)
    }

    private static func mask(bits: Int) -> UInt64 { (1 << UInt64(bits) - 1) << UInt64(63 - bits) }

    /// The length of the first chunk in `buffer`.
    ///
    /// With `final` the buffer's end is the end of the content, and the answer is 0 only for an empty buffer. Without,
    /// it is 0 when no cut was found and the buffer does not hold `maximum` bytes: call again with more. However
    /// the content is fed, the cuts are the same.
    package func cut(_ buffer: UnsafeRawBufferPointer, final: Bool) -> Int {
        let end = min(buffer.count, maximum)
        if let base = buffer.baseAddress, end > minimum {
            let found = scan(base.assumingMemoryBound(to: UInt8.self), end)
            if found > 0 { return found }
        }
        return end == maximum || final ? end : 0
    }

    /// The cut in the first `end` bytes, 0 if there is none; `minimum` < `end` <= `maximum`.
    private func scan(_ bytes: UnsafePointer<UInt8>, _ end: Int) -> Int {
        let gear = Gear.table
        var hash: UInt64 = 0
        // No cut may fall before `minimum`, so only what the hash still remembers there is read.
        for i in max(0, minimum - Self.window)..<(minimum - 1) { hash = (hash &<< 1) &+ gear[Int(bytes[i])] }
        let normal = min(average, end)
        let early = Self.search(bytes, gear, minimum - 1, normal, &hash, strict)
        return early > 0 ? early : Self.search(bytes, gear, normal, end, &hash, loose)
    }

    /// Two bytes a step: the hash is shifted by two bits at once and the first byte's value is taken from a table that
    /// is shifted already, so the hash after the first byte stands one bit to the left, where `mask` is shifted too.
    @inline(__always)
    private static func search(
        _ bytes: UnsafePointer<UInt8>, _ gear: UnsafePointer<UInt64>, _ start: Int, _ end: Int,
        _ hash: inout UInt64, _ mask: UInt64
    ) -> Int {
        let shifted = gear + 256
        let shiftedMask = mask &<< 1
        var i = start
        var h = hash
        while i &+ 2 <= end {
            h = (h &<< 2) &+ shifted[Int(bytes[i])]
            if h & shiftedMask == 0 { return i &+ 1 }
            h = h &+ gear[Int(bytes[i &+ 1])]
            if h & mask == 0 { return i &+ 2 }
            i = i &+ 2
        }
        if i < end {
            h = (h &<< 1) &+ gear[Int(bytes[i])]
            if h & mask == 0 { return i &+ 1 }
        }
        hash = h
        return 0
    }
}

/// The gear table: for each byte value b, the first eight bytes, read big-endian, of SHA-256 of the one byte b.
/// The same values shifted left by one bit follow.
enum Gear {
    // Written once, before the first read, and never freed; a plain pointer keeps bounds checks out of the loop.
    nonisolated(unsafe) static let table: UnsafePointer<UInt64> = {
        let words = UnsafeMutablePointer<UInt64>.allocate(capacity: 512)
        for value in 0..<256 {
            let word = Digest.of([UInt8(truncatingIfNeeded: value)]).words.0
            (words + value).initialize(to: word)
            (words + 256 + value).initialize(to: word << 1)
        }
        return UnsafePointer(words)
    }()
}
