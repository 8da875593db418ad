import DFSHistory
import DFSModel
import DFSSystem
import Glibc
import Synchronization

/// Leaves secrets out of what is captured where that must not fail, as an interpreter's environment: private keys, and files of
/// settings in which there is a secret. Programs are not looked through: they are published packages, and large.
final class SecretOmission: CaptureInspector {
    private let found = Mutex<[[UInt8]: String]>([:])

    /// Why, by path.
    var omitted: [[UInt8]: String] { found.withLock { $0 } }

    func admits(_ path: [UInt8], _ file: OwnedDescriptor, size: UInt64) throws(DFSError) -> Bool {
        guard let sentence = try reason(path, file, size) else { return true }
        found.withLock { $0[path] = sentence }
        throw DFSError(.refused, "\(NameText.display(path)) is left out", cause: sentence)
    }

    private func reason(_ path: [UInt8], _ file: OwnedDescriptor, _ size: UInt64) throws(DFSError) -> String? {
        if Self.beginsAsPrivateKey(file) { return "it is a private key" }
        return SecretFile.kind(of: path) != .program ? try Self.sentence(file, path, size) : nil
    }

    /// `-----BEGIN … PRIVATE KEY-----`, by whatever name, and also where it stands for an example.
    private static func beginsAsPrivateKey(_ file: OwnedDescriptor) -> Bool {
        var head = [UInt8](repeating: 0, count: 64)
        let count = pread(file.raw, &head, head.count, 0)
        guard count > 0, head.starts(with: Array("-----BEGIN ".utf8)) else { return false }
        let line = String(decoding: head[..<count].prefix { $0 != 0x0a }, as: UTF8.self)
        return line.contains("PRIVATE KEY")
    }

    func conclude() {}

    /// Why the file is not copied; `nil` where nothing is found in it. Nothing of the secret is in it.
    static func sentence(_ file: OwnedDescriptor, _ name: [UInt8], _ size: UInt64) throws(DFSError) -> String? {
        let found = try SecretFile.scan(file, name: name, size: size).first { !$0.isWaived }
        return found.map { "it holds a secret, line \($0.finding.line): \($0.finding.rule.rawValue)" }
    }
}
