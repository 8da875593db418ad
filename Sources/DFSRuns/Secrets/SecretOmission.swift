import DFSHistory
import DFSModel
import DFSSystem

/// Leaves secrets out of what is captured where that must not fail, as an interpreter's environment: files of settings in which
/// there is one are not read. Programs are not looked at: they are published packages, and large.
struct SecretOmission: CaptureInspector {
    func admits(_ path: [UInt8], _ file: OwnedDescriptor, size: UInt64) throws(DFSError) -> Bool {
        guard SecretFile.kind(of: path) != .program else { return true }
        if let sentence = try Self.sentence(file, path, size) {
            throw DFSError(.refused, "\(NameText.display(path)) is left out", cause: sentence)
        }
        return true
    }

    func conclude() {}

    /// Why the file is not copied; `nil` where nothing is found in it. Nothing of the secret is in it.
    static func sentence(_ file: OwnedDescriptor, _ name: [UInt8], _ size: UInt64) throws(DFSError) -> String? {
        let found = try SecretFile.scan(file, name: name, size: size).first { !$0.isWaived }
        return found.map { "it holds a secret, line \($0.finding.line): \($0.finding.rule.rawValue)" }
    }
}
