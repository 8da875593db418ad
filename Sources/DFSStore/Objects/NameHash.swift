/// Decides where long directories are cut, from names alone, so that equal names are cut equally everywhere.
package enum NameHash {
    /// FNV-1a, folded so that the low bits depend on all of it.
    package static func of(_ name: [UInt8]) -> UInt64 {
        var h: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in name { h = (h ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return h ^ (h >> 32)
    }
}
