import DFSModel

/// Names a signing key: SHA-256 of its public blob, shown as ssh-keygen shows it.
package struct KeyID: DigestIdentifier {
    package let digest: Digest
    package init(_ digest: Digest) { self.digest = digest }

    /// Reads `SHA256:` and 43 characters of base64 without padding.
    package init?(text: some StringProtocol) {
        guard text.hasPrefix("SHA256:"), let bytes = Base64.decode(text.dropFirst(7), padded: false),
            let digest = Digest(bytes: bytes)
        else { return nil }
        self.digest = digest
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    package var text: String { "SHA256:" + Base64.encode(digest.bytes, padded: false) }

    package var description: String { text }
}
