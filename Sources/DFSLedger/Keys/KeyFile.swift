import DFSModel
import DFSSystem
import Glibc

/// The file that holds a user's signing key.
package enum KeyFile {
    /// Loads the key at `path`; where there is no file, makes a key and writes it first (0600, durable, and when two
    /// processes do so at once both end with the same key).
    ///
    /// A file that users other than its owner can read is refused, as ssh refuses it. A public key file, or an
    /// encrypted private one, stands for the key that the agent at `agentSocket` holds.
    package static func load(orCreateAt path: String, agentSocket: String? = nil) throws(DFSError) -> any Signer {
        if let signer = try load(path, agentSocket: agentSocket) { return signer }
        try create(path)
        guard let signer = try load(path, agentSocket: agentSocket) else {
            throw DFSError(.operational, "cannot read \(path)", cause: "it vanished as soon as it was made")
        }
        return signer
    }

    /// Loads the key at `path`; `nil` when there is no file.
    package static func load(_ path: String, agentSocket: String? = nil) throws(DFSError) -> (any Signer)? {
        guard let text = try read(path) else { return nil }
        if let key = PublicKey(line: text) {
            return try agentSigner(key, path: path, socket: agentSocket)
        }
        if let agentSocket, let envelope = OpenSSHKey.envelope(text), envelope.cipher != "none",
            let key = PublicKey(blob: envelope.publicBlob)
        {
            return try agentSigner(key, path: path, socket: agentSocket)
        }
        return try OpenSSHKey.parse(text, path: path)
    }

    /// The public half of the key at `path`, also of an encrypted one; `nil` when there is no file.
    package static func publicKey(at path: String) throws(DFSError) -> PublicKey? {
        guard let text = try read(path) else { return nil }
        if let key = PublicKey(line: text) { return key }
        if let envelope = OpenSSHKey.envelope(text), let key = PublicKey(blob: envelope.publicBlob) { return key }
        return try OpenSSHKey.parse(text, path: path).publicKey
    }

    private static func agentSigner(_ key: PublicKey, path: String, socket: String?) throws(DFSError) -> any Signer {
        guard let socket else {
            throw DFSError(
                .operational, "cannot sign with \(path)", cause: "it is a public key, and no ssh-agent was named",
                hint: "eval $(ssh-agent) && ssh-add")
        }
        return try SSHAgent(socket: socket).signer(for: key, path: path)
    }

    /// The text of the file, after a look at who may read it.
    private static func read(_ path: String) throws(DFSError) -> String? {
        let descriptor: OwnedDescriptor
        do {
            descriptor = try OwnedDescriptor.open(path, O_RDONLY)
        } catch {
            guard error.errno == ENOENT else { throw error }
            return nil
        }
        let text = String(decoding: try Files.read(descriptor, what: path, limit: 1 << 16), as: UTF8.self)
        let status = try FileStatus.of(descriptor)
        if PublicKey(line: text) == nil, status.uid == getuid(), status.mode & 0o077 != 0 {
            throw DFSError(
                .refused, "will not sign with \(path)", cause: "other users can read or write it",
                hint: "chmod 600 \(path)")
        }
        return text
    }

    /// Writes a new key where there is none. Does nothing where another process was faster.
    private static func create(_ path: String) throws(DFSError) {
        let folder = Files.parent(path)
        try Files.makeDirectories(folder, mode: 0o700)
        let file = try DurableFile(temporaryDirectory: folder, mode: 0o600)
        try file.append(Array(try OpenSSHKey.generate(comment: "deepops-fs").fileText.utf8))
        try file.synchronize()
        do { try file.link(as: path) } catch { guard error.errno == EEXIST else { throw error } }
        try Files.synchronizeDirectory(folder)
    }
}
