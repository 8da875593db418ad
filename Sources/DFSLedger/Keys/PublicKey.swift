import Crypto
import DFSChunking
import DFSModel

/// An Ed25519 public key.
package struct PublicKey: Hashable, Sendable {
    static let algorithm = "ssh-ed25519"

    /// The 32 bytes of the key.
    package let raw: [UInt8]
    package let id: KeyID

    /// `nil` unless `raw` holds 32 bytes.
    package init?(raw: [UInt8]) {
        guard raw.count == 32 else { return nil }
        self.raw = raw
        id = KeyID(.of(Self.blob(raw)))
    }

    /// Reads a key blob of RFC 8709; `nil` for other algorithms.
    package init?(blob: [UInt8]) {
        var reader = WireReader(blob)
        guard reader.text() == Self.algorithm, let raw = reader.string(), reader.isAtEnd else { return nil }
        self.init(raw: raw)
    }

    /// Reads `ssh-ed25519 AAAA…`; what follows the key is passed over.
    package init?(line: some StringProtocol) {
        let parts = line.split { $0 == " " || $0 == "\n" || $0 == "\t" }
        guard parts.count >= 2, parts[0] == Self.algorithm, let blob = Base64.decode(parts[1]) else { return nil }
        self.init(blob: blob)
    }

    package var blob: [UInt8] { Self.blob(raw) }

    /// `ssh-ed25519 AAAA…`, without a comment.
    package var line: String { Self.algorithm + " " + Base64.encode(blob) }

    private static func blob(_ raw: [UInt8]) -> [UInt8] {
        var writer = WireWriter()
        writer.string(algorithm)
        writer.string(raw)
        return writer.bytes
    }

    func isValid(signature: [UInt8], for message: [UInt8]) -> Bool {
        guard signature.count == 64, let key = try? Curve25519.Signing.PublicKey(rawRepresentation: raw) else {
            return false
        }
        return key.isValidSignature(signature, for: message)
    }
}
