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
}
