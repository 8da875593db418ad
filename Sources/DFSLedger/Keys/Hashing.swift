import Crypto
import DFSModel

extension DFSModel.Digest {
    /// SHA-256 of `bytes`.
    package static func sha256(_ bytes: [UInt8]) -> DFSModel.Digest {
        var hash = SHA256()
        bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
        return DFSModel.Digest(bytes: Array(hash.finalize())) ?? .zero
    }
}

/// SHA-512 of `bytes`, 64 bytes.
func sha512(_ bytes: [UInt8]) -> [UInt8] {
    var hash = SHA512()
    bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
    return Array(hash.finalize())
}
