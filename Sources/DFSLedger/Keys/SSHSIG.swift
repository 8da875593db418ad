import DFSModel

/// Whatever can sign for one key.
package protocol Signer: Sendable {
    var publicKey: PublicKey { get }

    /// An SSHSIG blob over `message`. May ask another process (ssh-agent) and take seconds.
    func sign(_ message: [UInt8]) throws(DFSError) -> [UInt8]
}

/// The signature format of `ssh-keygen -Y`: namespace `deepops-fs`, hash SHA-512, Ed25519.
package enum SSHSIG {
    package static let namespace = "deepops-fs"
    private static let magic = Array("SSHSIG".utf8)
    private static let version: UInt32 = 1
    private static let hash = "sha512"
    private static let label = "SSH SIGNATURE"

    /// The bytes that the key signs on behalf of `message`.
    static func toBeSigned(_ message: [UInt8]) -> [UInt8] {
        var writer = WireWriter()
        writer.raw(magic)
        writer.string(namespace)
        writer.string("")
        writer.string(hash)
        writer.string(sha512(message))
        return writer.bytes
    }

    /// The blob around the 64 bytes of an Ed25519 signature.
    static func blob(key: PublicKey, signature: [UInt8]) -> [UInt8] {
        var inner = WireWriter()
        inner.string(PublicKey.algorithm)
        inner.string(signature)
        var writer = WireWriter()
        writer.raw(magic)
        writer.integer(version)
        writer.string(key.blob)
        writer.string(namespace)
        writer.string("")
        writer.string(hash)
        writer.string(inner.bytes)
        return writer.bytes
    }

    /// Why `blob` is not the signature of `message` by `key`; `nil` when it is.
    package static func problem(_ blob: [UInt8], message: [UInt8], key: PublicKey) -> String? {
        var reader = WireReader(blob)
        guard reader.take(magic.count) == magic, reader.integer() == version else {
            return "the signature is not an SSHSIG blob of version 1"
        }
        guard let keyBlob = reader.string(), let space = reader.text(), let reserved = reader.string(),
            let hash = reader.text(), let inner = reader.string(), reader.isAtEnd
        else { return "the signature blob is malformed" }
        guard keyBlob == key.blob else { return "the signature was made with another key" }
        guard space == namespace, reserved.isEmpty, hash == Self.hash else {
            return "the signature was made for another purpose"
        }
        var innerReader = WireReader(inner)
        guard innerReader.text() == PublicKey.algorithm, let signature = innerReader.string(), innerReader.isAtEnd
        else { return "the signature blob is malformed" }
        return key.isValid(signature: signature, for: toBeSigned(message)) ? nil : "the signature does not match"
    }

    /// As `ssh-keygen -Y verify` reads it.
    package static func armored(_ blob: [UInt8]) -> String { Base64.armor(blob, label: label) }

    /// Reads what `ssh-keygen -Y sign` writes; `nil` when it is something else.
    package static func dearmored(_ text: String) -> [UInt8]? { Base64.dearmor(text, label: label) }
}
