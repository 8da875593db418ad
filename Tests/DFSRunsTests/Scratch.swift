import DFSModel
import DFSSystem
import Glibc
import Testing

/// A temporary directory and commands run in it.
final class Scratch {
    let path: String
    /// Git without this machine's configuration.
    var environment: [String: String]

    init() throws {
        path = "/tmp/dfs-runs-tests-\(Randomness.hex(bytes: 8))"
        try Files.makeDirectories(path)
        environment = [
            "PATH": String(cString: getenv("PATH")), "HOME": path, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C",
            "GIT_CONFIG_COUNT": "4", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "A",
            "GIT_CONFIG_KEY_1": "user.email", "GIT_CONFIG_VALUE_1": "a@example.com",
            "GIT_CONFIG_KEY_2": "protocol.file.allow", "GIT_CONFIG_VALUE_2": "always",
            "GIT_CONFIG_KEY_3": "init.defaultBranch", "GIT_CONFIG_VALUE_3": "main",
        ]
    }

    deinit { try? Files.removeTree(path) }

    /// Runs a shell script in the directory; its stdout. Fails the test when the script fails.
    @discardableResult
    func shell(_ script: String, _ arguments: String...) throws -> [UInt8] {
        let outcome = try CapturedCommand.run(
            ["/bin/bash", "-ec", "cd '\(path)'; \(script)", "test"] + arguments, environment: environment,
            milliseconds: 120_000)
        try #require(outcome.succeeded, "\(script): \(String(decoding: outcome.errors, as: UTF8.self))")
        return outcome.output
    }

    func write(_ name: String, _ text: String) throws { try write(Array(name.utf8), Array(text.utf8)) }

    func write(_ name: [UInt8], _ bytes: [UInt8]) throws {
        let full = Array((path + "/").utf8) + name
        for i in full.indices.dropFirst() where full[i] == UInt8(ascii: "/") {
            _ = withCName(Array(full[..<i])) { mkdir($0, 0o755) }
        }
        let file = try OwnedDescriptor.open(bytes: full, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644, at: AT_FDCWD)
        try Files.write(bytes, to: file.raw, what: path)
    }

    static let fixtures = Files.parent(#filePath) + "/Fixtures"
}

/// Stands in for SHA-256, which the caller gives to the code under test.
func testHash(_ bytes: [UInt8]) -> Digest {
    var words: [UInt64] = [1, 2, 3, 4]
    for i in words.indices {
        var h: UInt64 = 0xcbf2_9ce4_8422_2325 &+ words[i]
        for byte in bytes { h = (h ^ UInt64(byte)) &* 0x100_0000_01b3 }
        words[i] = h
    }
    return Digest(words: (words[0], words[1], words[2], words[3]))
}

extension JSONValue {
    /// Every text, with the path that leads to it.
    func texts(_ path: String = "") -> [(String, String)] {
        switch self {
        case .string(let text): [(path, text)]
        case .array(let elements): elements.enumerated().flatMap { $1.texts("\(path)/\($0)") }
        case .object(let members): members.flatMap { $1.texts("\(path)/\($0)") }
        default: []
        }
    }

    /// Paths of empty texts, empty lists, empty objects and nulls: there must be none.
    func empties(_ path: String = "") -> [String] {
        switch self {
        case .null: [path]
        case .string(let text): text.isEmpty ? [path] : []
        case .array(let elements):
            elements.isEmpty ? [path] : elements.enumerated().flatMap { $1.empties("\(path)/\($0)") }
        case .object(let members):
            members.isEmpty ? [path] : members.flatMap { $1.empties("\(path)/\($0)") }
        default: []
        }
    }
}
