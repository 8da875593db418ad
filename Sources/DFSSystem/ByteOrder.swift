import Glibc

/// The order of names: byte by byte, unsigned, as memcmp(3) has it.
package enum ByteOrder {
    package static func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool { compare(a, b) < 0 }

    /// Negative, zero or positive.
    package static func compare(_ a: [UInt8], _ b: [UInt8]) -> Int {
        let common = min(a.count, b.count)
        let order = a.withUnsafeBytes { a in
            b.withUnsafeBytes { b in
                guard common > 0, let x = a.baseAddress, let y = b.baseAddress else { return 0 }
                return Int(memcmp(x, y, common))
            }
        }
        return order != 0 ? order : a.count - b.count
    }

    /// Whether one range of `bytes` precedes another.
    package static func precedes(_ bytes: [UInt8], _ a: Range<Int>, _ b: Range<Int>) -> Bool {
        bytes.withUnsafeBytes { raw in
            let x = UnsafeRawBufferPointer(rebasing: raw[a]), y = UnsafeRawBufferPointer(rebasing: raw[b])
            let common = min(x.count, y.count)
            let order = common > 0 ? memcmp(x.baseAddress!, y.baseAddress!, common) : 0
            return order != 0 ? order < 0 : x.count < y.count
        }
    }
}
