import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

@testable import DFSRuns

/// What is left out of an environment and of copied modules.
@Suite struct SecretOmissionTests {
    @Test func settingsWithSecretsAreLeftOut() throws {
        let scratch = try Scratch()
        func admits(_ name: String, _ text: String) -> DFSError? {
            do {
                try scratch.write(name, text)
                let file = try OwnedDescriptor.open(scratch.path + "/" + name, O_RDONLY)
                _ = try SecretOmission().admits(Array(name.utf8), file, size: UInt64(text.utf8.count))
                return nil
            } catch { return error as? DFSError }
        }
        let url = "index-url = https://me:h7Gk2pQz9@pypi.intern/simple\n"
        #expect(admits("pip.conf", "[global]\n" + url)?.cause == "it holds a secret, line 2: url-credentials")
        #expect(admits("pip.conf", "[global]\nindex-url = https://pypi.org/simple\n") == nil)
        #expect(admits(".netrc", "machine a login me password strawberry\n")?.cause?.contains("line 1") == true)
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nYWJj\n"
        #expect(admits("id_ed25519", key)?.cause == "it is a private key")
        #expect(admits("keys.py", "KEY = '" + key + "'\n") == nil)
        #expect(admits("cert.pem", "-----BEGIN CERTIFICATE-----\nYWJj\n") == nil)
        #expect(admits("module.py", "key = '\(Canary.gitHub)'\n") == nil)
    }
}
