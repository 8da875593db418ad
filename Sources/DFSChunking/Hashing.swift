import DFSModel

import struct Crypto.HMAC
import protocol Crypto.HashFunction
import struct Crypto.SHA256
import struct Crypto.SymmetricKey

/// SHA-256 over bytes that arrive in pieces.
package struct Hasher256 {
    private var state = SHA256()

    package init() {}

    package mutating func update(_ buffer: UnsafeRawBufferPointer) { state.update(bufferPointer: buffer) }

    /// The digest of what was given since the start or the last `finish`; the hasher begins anew.
    package mutating func finish() -> DFSModel.Digest {
        let digest = state.finalize()
        state = SHA256()
        return DFSModel.Digest(digest)
    }
}

extension DFSModel.Digest {
    package static func of(_ bytes: [UInt8]) -> DFSModel.Digest { bytes.withUnsafeBytes { of($0) } }

    package static func of(_ buffer: UnsafeRawBufferPointer) -> DFSModel.Digest {
        var hasher = Hasher256()
        hasher.update(buffer)
        return hasher.finish()
    }

    /// HMAC-SHA-256 (RFC 2104).
    package static func authenticating(_ bytes: [UInt8], key: [UInt8]) -> DFSModel.Digest {
        let code = HMAC<SHA256>.authenticationCode(for: bytes, using: SymmetricKey(data: key))
        return code.withUnsafeBytes { DFSModel.Digest(loading: $0, at: 0) }
    }

    fileprivate init(_ digest: SHA256.Digest) {
        self = digest.withUnsafeBytes { raw in
            func word(_ i: Int) -> UInt64 {
                UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: i * 8, as: UInt64.self))
            }
            return DFSModel.Digest(words: (word(0), word(1), word(2), word(3)))
        }
    }
}
