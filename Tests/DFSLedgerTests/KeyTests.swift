import DFSLedger
import DFSModel
import DFSSystem
import Glibc
import Synchronization
import Testing

struct KeyTests {
    let scratch: Scratch
    let path: String

    init() throws {
        scratch = try Scratch()
        path = scratch.path + "/keys/signing"
    }

    private func keygen(_ arguments: String..., input: String? = nil) throws -> (status: Int32, output: String) {
        try execute(["ssh-keygen"] + arguments, in: scratch, input: input)
    }

    @Test func sshKeygenReadsTheKeyFile() throws {
        let signer = try KeyFile.load(orCreateAt: path)
        let status = try #require(try FileStatus.of(path: path))
        #expect(status.mode == 0o600)
        let derived = try keygen("-y", "-f", path)
        #expect(derived.status == 0)
        #expect(PublicKey(line: derived.output) == signer.publicKey)
        #expect(derived.output.hasPrefix(signer.publicKey.line + " "))
        let listed = try keygen("-l", "-f", path)
        #expect(listed.output.split(separator: " ").contains(Substring(signer.publicKey.id.text)))
        #expect(KeyID(text: signer.publicKey.id.text) == signer.publicKey.id)
        #expect(try DirectoryListing.names(of: scratch.path + "/keys") == [Array("signing".utf8)])
    }

    @Test func keyFileOfSSHKeygenIsRead() throws {
        let made = scratch.path + "/made"
        #expect(
            try keygen("-q", "-t", "ed25519", "-N", "", "-C", "a comment, longer than others", "-f", made).status == 0)
        let signer = try KeyFile.load(orCreateAt: made)
        let line = String(decoding: try #require(try Files.read(made + ".pub")), as: UTF8.self)
        #expect(PublicKey(line: line) == signer.publicKey)
        let message = Array("message".utf8)
        #expect(SSHSIG.problem(try signer.sign(message), message: message, key: signer.publicKey) == nil)
    }

    @Test func racingProcessesEndWithOneKey() throws {
        let ids = Mutex<Set<KeyID>>([])
        let path = path
        onThreads(8) { _ in
            if let signer = try? KeyFile.load(orCreateAt: path) {
                ids.withLock { _ = $0.insert(signer.publicKey.id) }
            }
        }
        #expect(ids.withLock { $0.count } == 1)
        #expect(try DirectoryListing.names(of: scratch.path + "/keys") == [Array("signing".utf8)])
    }

    @Test(arguments: [0o640, 0o604, 0o620, 0o644] as [mode_t])
    func keyThatOthersReachIsRefused(mode: mode_t) throws {
        _ = try KeyFile.load(orCreateAt: path)
        chmod(path, mode)
        let error = failure { _ = try KeyFile.load(orCreateAt: path) }
        #expect(error?.code == .refused)
        #expect(error?.hint == "chmod 600 \(path)")
        #expect(try execute(["sh", "-c", error?.hint ?? "false"], in: scratch).status == 0)
        #expect(throws: Never.self) { try KeyFile.load(orCreateAt: path) }
    }

    @Test func encryptedKeyNeedsAnAgent() throws {
        let made = scratch.path + "/locked"
        #expect(try keygen("-q", "-t", "ed25519", "-N", "secret", "-f", made).status == 0)
        let error = failure { _ = try KeyFile.load(orCreateAt: made) }
        #expect(error?.cause?.contains("encrypted") == true)
        #expect(error?.hint == "ssh-add \(made)")
        let line = String(decoding: try #require(try Files.read(made + ".pub")), as: UTF8.self)
        #expect(try KeyFile.publicKey(at: made) == PublicKey(line: line))
    }

    @Test func otherKeysAndOtherFilesAreRefused() throws {
        let rsa = scratch.path + "/rsa"
        #expect(try keygen("-q", "-t", "ecdsa", "-N", "", "-f", rsa).status == 0)
        #expect(failure { _ = try KeyFile.load(orCreateAt: rsa) }?.cause?.contains("Ed25519") == true)
        let text = try scratch.write("text", "not a key\n")
        #expect(failure { _ = try KeyFile.load(orCreateAt: text) }?.what == "\(text) is not a private key of OpenSSH")
        let empty = try scratch.write("empty", "")
        #expect(failure { _ = try KeyFile.load(orCreateAt: empty) } != nil)
    }

    @Test func damagedKeyFileIsNeverAnotherKey() throws {
        let key = try OpenSSHKey.generate(comment: "c")
        let lines = key.fileText.split(separator: "\n").map(String.init)
        let bytes = try #require(Base64.decode(lines[1..<lines.count - 1].joined()))
        for position in bytes.indices {
            var altered = bytes
            altered[position] ^= 1 << UInt8.random(in: 0..<8)
            let text = Base64.armor(altered, label: "OPENSSH PRIVATE KEY")
            if let read = try? OpenSSHKey.parse(text, path: "x") {
                #expect(read.publicKey == key.publicKey, "byte \(position)")
            }
        }
        for length in 0..<bytes.count {
            let text = Base64.armor(Array(bytes.prefix(length)), label: "OPENSSH PRIVATE KEY")
            #expect(throws: DFSError.self) { try OpenSSHKey.parse(text, path: "x") }
        }
    }
}

struct SignatureTests {
    let scratch: Scratch
    let key: OpenSSHKey
    let path: String
    let message = Array("{\"a\":1}".utf8)

    init() throws {
        scratch = try Scratch()
        path = scratch.path + "/key"
        _ = try KeyFile.load(orCreateAt: path)
        key = try OpenSSHKey.parse(String(decoding: try #require(try Files.read(path)), as: UTF8.self), path: path)
    }

    private func verify(_ blob: [UInt8], _ message: [UInt8], namespace: String = SSHSIG.namespace) throws -> Int32 {
        let allowed = try scratch.write("allowed", "someone namespaces=\"deepops-fs\" \(key.publicKey.line)\n")
        let signature = try scratch.write("signature", SSHSIG.armored(blob))
        return try execute(
            ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "someone", "-n", namespace, "-s", signature],
            in: scratch, input: String(decoding: message, as: UTF8.self)
        ).status
    }

    @Test func sshKeygenAcceptsOurSignature() throws {
        let blob = try key.sign(message)
        #expect(try verify(blob, message) == 0)
        #expect(try verify(blob, message + [0x20]) != 0)
        var altered = blob
        altered[altered.count - 1] ^= 1
        #expect(try verify(altered, message) != 0)
    }

    @Test func sshKeygenAcceptsAnEntry() throws {
        let fixture = try Fixture()
        defer { withExtendedLifetime(fixture) {} }
        let entry = try #require(try fixture.ledger.create(signer: key))
        #expect(try verify(entry.signature, entry.signedBytes) == 0)
        #expect(try verify(entry.signature, entry.encoded) != 0)
    }

    @Test func weAcceptTheSignatureOfSSHKeygen() throws {
        let file = try scratch.write("message", String(decoding: message, as: UTF8.self))
        let sign = ["ssh-keygen", "-q", "-Y", "sign", "-f", path]
        #expect(try execute(sign + ["-n", "deepops-fs", file], in: scratch).status == 0)
        let text = String(decoding: try #require(try Files.read(file + ".sig")), as: UTF8.self)
        let blob = try #require(SSHSIG.dearmored(text))
        #expect(SSHSIG.problem(blob, message: message, key: key.publicKey) == nil)
        #expect(blob == (try key.sign(message)))
        #expect(SSHSIG.armored(blob) == text)
        try Files.remove(file + ".sig")
        #expect(try execute(sign + ["-n", "git", file], in: scratch).status == 0)
        let other = String(decoding: try #require(try Files.read(file + ".sig")), as: UTF8.self)
        let otherBlob = try #require(SSHSIG.dearmored(other))
        #expect(
            SSHSIG.problem(otherBlob, message: message, key: key.publicKey)
                == "the signature was made for another purpose")
    }

    @Test func noByteOfASignatureMayChange() throws {
        let blob = try key.sign(message)
        for position in blob.indices {
            for bit in 0..<8 {
                var altered = blob
                altered[position] ^= 1 << UInt8(bit)
                #expect(SSHSIG.problem(altered, message: message, key: key.publicKey) != nil, "\(position).\(bit)")
            }
            #expect(SSHSIG.problem(Array(blob.prefix(position)), message: message, key: key.publicKey) != nil)
        }
        #expect(SSHSIG.problem(blob + [0], message: message, key: key.publicKey) != nil)
        let another = try OpenSSHKey.generate(comment: "")
        #expect(SSHSIG.problem(blob, message: message, key: another.publicKey) != nil)
    }
}
