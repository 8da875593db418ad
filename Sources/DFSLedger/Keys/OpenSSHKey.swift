import Crypto
import DFSModel
import DFSSystem

/// An Ed25519 key pair, and the file form that OpenSSH gives it.
package struct OpenSSHKey: Signer {
    package let publicKey: PublicKey
    package let comment: String
    private let seed: [UInt8]
    private let key: Curve25519.Signing.PrivateKey

    private static let magic = Array("openssh-key-v1\0".utf8)
    private static let label = "OPENSSH PRIVATE KEY"

    /// A new random key.
    package static func generate(comment: String) throws(DFSError) -> OpenSSHKey {
        guard let key = OpenSSHKey(seed: Randomness.bytes(32), comment: comment) else {
            throw DFSError(.operational, "cannot make a signing key")
        }
        return key
    }

    /// `nil` unless `seed` holds 32 bytes.
    init?(seed: [UInt8], comment: String) {
        guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed),
            let publicKey = PublicKey(raw: Array(key.publicKey.rawRepresentation))
        else { return nil }
        self.seed = seed
        self.key = key
        self.publicKey = publicKey
        self.comment = comment
    }

    package func sign(_ message: [UInt8]) throws(DFSError) -> [UInt8] {
        let signature: [UInt8]
        do {
            signature = Array(try key.signature(for: SSHSIG.toBeSigned(message)))
        } catch {
            throw DFSError(.operational, "cannot sign with key \(publicKey.id.text)", cause: "\(error)")
        }
        return SSHSIG.blob(key: publicKey, signature: signature)
    }
}

extension OpenSSHKey {
    /// The text of an unencrypted private key file.
    package var fileText: String {
        let check = Randomness.bytes(4)
        var secret = WireWriter()
        secret.raw(check)
        secret.raw(check)
        secret.string(PublicKey.algorithm)
        secret.string(publicKey.raw)
        secret.string(seed + publicKey.raw)
        secret.string(comment)
        var padding: UInt8 = 0
        while secret.bytes.count % 8 != 0 {
            padding += 1
            secret.raw([padding])
        }
        var writer = WireWriter()
        writer.raw(Self.magic)
        writer.string("none")
        writer.string("none")
        writer.string("")
        writer.integer(1)
        writer.string(publicKey.blob)
        writer.string(secret.bytes)
        return Base64.armor(writer.bytes, label: Self.label)
    }

    /// What a private key file says before anything of it is decrypted.
    struct Envelope {
        let cipher: String
        let publicBlob: [UInt8]
        let secret: [UInt8]
    }

    /// `nil` when `text` is no private key file of OpenSSH.
    static func envelope(_ text: String) -> Envelope? {
        guard let bytes = Base64.dearmor(text, label: label) else { return nil }
        var reader = WireReader(bytes)
        guard reader.take(magic.count) == magic, let cipher = reader.text(), reader.string() != nil,
            reader.string() != nil, reader.integer() == 1, let publicBlob = reader.string(),
            let secret = reader.string()
        else { return nil }
        return Envelope(cipher: cipher, publicBlob: publicBlob, secret: secret)
    }

    /// Reads the text of a private key file. `path` is for messages.
    package static func parse(_ text: String, path: String) throws(DFSError) -> OpenSSHKey {
        guard let envelope = envelope(text) else {
            throw DFSError(
                .operational, "\(path) is not a private key of OpenSSH",
                hint: "ssh-keygen -t ed25519 -f \(path).new")
        }
        guard let publicKey = PublicKey(blob: envelope.publicBlob) else {
            throw DFSError(
                .operational, "cannot sign with \(path)", cause: "it is not an Ed25519 key",
                hint: "ssh-keygen -t ed25519 -f \(path).new")
        }
        guard envelope.cipher == "none" else {
            throw DFSError(
                .operational, "cannot sign with \(path)", cause: "it is encrypted, and no ssh-agent holds it",
                hint: "ssh-add \(path)")
        }
        guard let key = secretPart(envelope.secret), key.publicKey == publicKey else {
            throw DFSError(.corrupt, "\(path) is damaged", cause: "its halves do not belong together")
        }
        return key
    }

    private static func secretPart(_ bytes: [UInt8]) -> OpenSSHKey? {
        var reader = WireReader(bytes)
        guard let first = reader.integer(), let second = reader.integer(), first == second,
            reader.text() == PublicKey.algorithm, let raw = reader.string(), let pair = reader.string(),
            pair.count == 64, Array(pair.suffix(32)) == raw, let comment = reader.string(),
            let key = OpenSSHKey(seed: Array(pair.prefix(32)), comment: String(decoding: comment, as: UTF8.self)),
            key.publicKey.raw == raw
        else { return nil }
        return key
    }
}
