/// A fast 64-bit checksum against accidents, not against an adversary: two words at a time are multiplied to 128 bits
/// and folded. It covers table, key and value, so that a value that turns up under another key is told too.
enum Checksum {
    private static let k: (UInt64, UInt64, UInt64) = (
        0x9E37_79B9_7F4A_7C15, 0xC2B2_AE3D_27D4_EB4F, 0xD6E8_FEB8_6659_FD93
    )

    /// Bytes that precede each stored value.
    static let byteCount = 8

    /// The start value of a table.
    static func seed(_ table: some Collection<UInt8>) -> UInt64 {
        Array(table).withUnsafeBytes { absorb(k.2, $0) }
    }

    static func of(seed: UInt64, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) -> UInt64 {
        fold(absorb(absorb(seed, key), value) ^ k.0, k.2)
    }

    @inline(__always)
    private static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }

    private static func absorb(_ start: UInt64, _ buffer: UnsafeRawBufferPointer) -> UInt64 {
        let count = buffer.count
        var h = start ^ (UInt64(truncatingIfNeeded: count) &* k.0)
        guard let base = buffer.baseAddress else { return fold(h ^ k.1, k.0) }
        var i = 0
        while count &- i >= 16 {
            let a = (base + i).loadUnaligned(as: UInt64.self)
            let b = (base + i + 8).loadUnaligned(as: UInt64.self)
            h = fold(a ^ h ^ k.1, b ^ k.2 ^ (h << 32 | h >> 32))
            i = i &+ 16
        }
        var a: UInt64 = 0
        if count &- i >= 8 {
            a = (base + i).loadUnaligned(as: UInt64.self)
            i = i &+ 8
        }
        var b: UInt64 = 0
        while i < count {
            b = b << 8 | UInt64((base + i).load(as: UInt8.self))
            i = i &+ 1
        }
        return fold(a ^ h ^ k.1, b ^ k.2 ^ (h << 32 | h >> 32))
    }
}
