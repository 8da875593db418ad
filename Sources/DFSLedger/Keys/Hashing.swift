import Crypto

/// SHA-512 of `bytes`, 64 bytes.
func sha512(_ bytes: [UInt8]) -> [UInt8] {
    var hash = SHA512()
    bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
    return Array(hash.finalize())
}
