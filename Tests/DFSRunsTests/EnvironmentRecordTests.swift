import DFSModel
import DFSRemote
import DFSRuns
import DFSSystem
import DFSTestSupport
import Testing

@Suite struct EnvironmentRecordTests {
    private let scratch: Scratch
    private let backend: DirectoryBackend

    init() throws {
        scratch = try Scratch()
        backend = DirectoryBackend(root: scratch.path)
    }

    private func record(
        _ variables: [String: String], allowed: [String] = []
    ) throws -> EnvironmentRecord {
        EnvironmentRecord.make(variables, allowed: allowed, key: try EnvironmentKey.load(in: backend))
    }

    @Test func whatIsSaid() throws {
        let random = Canary.random(32, seed: 21)
        let made = try record(
            ["LR": "0.1", "OMP_NUM_THREADS": "4", "HOME": "/home/me", "API_KEY": random, "MY_TOKEN": random],
            allowed: ["LR", "MY_TOKEN", "UNSET"])
        #expect(made.json["OMP_NUM_THREADS"] == ["value": "4"])
        #expect(made.json["HOME"]?["hmac"]?.string?.count == 64 && made.json["HOME"]?["value"] == nil)
        #expect(made.json["LR"]?["text"] == true && made.json["LR"]?["value"] == nil)
        // Named, and a secret all the same: never in clear.
        #expect(made.text == ["LR": "0.1"])
        #expect(made.names == ["API_KEY", "HOME", "LR", "MY_TOKEN", "OMP_NUM_THREADS"])
        // Two variables with one value do not show that.
        #expect(made.json["API_KEY"]?["hmac"] != made.json["MY_TOKEN"]?["hmac"])
        let all = made.json.canonicalText + made.text.canonicalText
        #expect(!all.contains(random) && !all.contains("/home/me"))
        let read = EnvironmentRecord(json: made.json, text: made.text)
        #expect(read.value("LR") == "0.1" && read.value("HOME") == nil)
        #expect(EnvironmentRecord.differences(from: read, to: made).isEmpty)
        // The text was redacted: the hash still tells.
        #expect(EnvironmentRecord.differences(from: EnvironmentRecord(json: made.json), to: made).isEmpty)
    }

    @Test func differences() throws {
        let then = try record(
            ["LR": "0.1", "HOME": "/a", "GONE": "1", "LANG": "C", "SHLVL": "1", "DFS_STORE": "x", "SSH_TTY": "y"],
            allowed: ["LR"])
        let stored = EnvironmentRecord(json: then.json, text: then.text)
        let now = try record(
            ["LR": "0.2", "HOME": "/a", "LANG": "de", "NEW": "1", "SHLVL": "2", "SLURM_JOB_ID": "7"])
        let found = EnvironmentRecord.differences(from: stored, to: now)
        #expect(found.map(\.name) == ["GONE", "LANG", "LR", "NEW"])
        #expect(found.map(\.kind) == [.absent, .different, .different, .added])
    }

    /// The same value compares as the same whether it was recorded in clear then and is not now, or the other way.
    @Test func whatIsNamedMayChange() throws {
        for (before, after) in [(["LR"], []), ([], ["LR"])] as [([String], [String])] {
            let then = try record(["LR": "0.1"], allowed: before)
            let same = try record(["LR": "0.1"], allowed: after), other = try record(["LR": "0.3"], allowed: after)
            let stored = EnvironmentRecord(json: then.json, text: then.text)
            #expect(EnvironmentRecord.differences(from: stored, to: same).isEmpty)
            #expect(EnvironmentRecord.differences(from: stored, to: other).map(\.kind) == [.different])
        }
    }

    @Test func theKey() throws {
        let key = try EnvironmentKey.load(in: backend)
        #expect(try EnvironmentKey.load(in: backend) == key)
        let bytes = try #require(try backend.get("keys/environment", limit: 100))
        #expect(bytes.count == 32)
        let other = try Scratch()
        let elsewhere = try EnvironmentKey.load(in: DirectoryBackend(root: other.path))
        #expect(key.authenticate("A", [1]) != elsewhere.authenticate("A", [1]))
        try scratch.write("keys/environment", "short")
        #expect(throws: DFSError.self) { try EnvironmentKey.load(in: backend) }
        let without = EnvironmentRecord.make(["A": "b"], allowed: [], key: nil, failure: "damaged")
        #expect(without.json == ["A": ["unknown": "damaged"]])
        #expect(EnvironmentRecord.differences(from: without, to: without).isEmpty == false)
    }
}
