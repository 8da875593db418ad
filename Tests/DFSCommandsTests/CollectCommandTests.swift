import DFSChunking
import DFSHistory
import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

/// `dfs dataset rm`, `dfs gc` and `dfs why`.
@Suite struct CollectCommandTests {
    private let sandbox: Sandbox

    init() throws {
        sandbox = try Sandbox()
        var random = SeededGenerator(seed: 7)
        for i in 0..<3 { try sandbox.write(random.bytes(9000), to: "work/src/a\(i)") }
        for i in 0..<6 { try sandbox.write(random.bytes(9000), to: "work/src/b\(i)") }
        try sandbox.expect(0, "commit", "x", "src", "--tag", "good")
        for i in 0..<6 { try Files.remove(sandbox.work + "/src/b\(i)") }
        try sandbox.write(random.bytes(9000), to: "work/src/c")
        try sandbox.expect(0, "commit", "x", "src", "--allow-shrink")
    }

    @Test func whatIsRemovedIsSaidToBe() throws {
        try sandbox.expect(64, "dataset", "rm", "x@v1", "--reason", " ")
        let removed = try sandbox.expect(0, "dataset", "rm", "x@v1", "--reason", "faces of people")
        #expect(removed.error.contains("good") && removed.output.contains("latest is v2"))
        for command in [["cat", "x@v1/a0"], ["ls", "x@good"], ["export", "x@v1", "out"]] {
            let answer = try sandbox.call(command)
            #expect(answer.code == 11 && answer.error.contains("faces of people"), "\(command): \(answer.error)")
        }
        let shown = try #require(try sandbox.expect(0, "show", "x@v1", "--json").rows().first)
        #expect(shown["removed"]?["text"]?["reason"]?.string == "faces of people")
        #expect(try sandbox.expect(0, "log", "x").output.contains("removed: faces of people"))
        try sandbox.expect(64, "dataset", "rename", "x", "y")
        let plan = try #require(try sandbox.expect(0, "gc", "--json").rows().first)
        #expect(plan["compact"]?.array?.isEmpty == false && plan["done"] == nil)
        let object = try #require(plan["compact"]?.array?.first?["pack"]?.string)
        #expect(try sandbox.expect(0, "why", object).output.contains("x@v2"))
        let done = try sandbox.expect(0, "gc", "--yes", "--grace", "0", "--json").rows().first?["done"]
        #expect(done?["deleted"]?.integer == done?["condemned"]?.integer)
        #expect(try sandbox.expect(0, "why", "src/c").output.contains("x@v2  c"))
        try sandbox.expect(11, "why", object)
        try sandbox.expect(64, "gc", "--grace", "soon")
        try sandbox.expect(0, "verify", "--data")
    }

    /// A file of several chunks is in no pack as a whole, and is found by its digest all the same.
    @Test func aLargeFileIsFoundByItsDigest() throws {
        var random = SeededGenerator(seed: 8)
        let bytes = random.bytes(700_000)
        try sandbox.write(bytes, to: "work/src/large")
        try sandbox.expect(0, "commit", "x", "src")
        let answer = try sandbox.expect(0, "why", Digest.of(bytes).text).output
        #expect(answer.contains("x@v3  large"))
        #expect(try sandbox.expect(0, "why", "src/large").output == answer)
        let unknown = try sandbox.call(["why", Digest.of(Array(bytes.dropLast())).text])
        #expect(unknown.code == 11 && unknown.error.contains("is in no pack"))
    }

    /// A collection that is killed at its n-th call is gone on with by the next one.
    @Test func aKilledCollectionGoesOn() throws {
        try sandbox.expect(0, "dataset", "rm", "x@v1", "--reason", "test")
        let kept = try sandbox.expect(0, "ls", "-l", "x@v2").output
        for (from, to) in [(sandbox.store, "store0"), (sandbox.home + "/.cache", "cache0")] {
            try sandbox.shell("cp -a \(from) \(sandbox.root)/\(to)")
        }
        var points = 0
        for call in stride(from: 3, to: 400, by: 11) {
            try sandbox.shell(
                "rm -rf \(sandbox.store) \(sandbox.home)/.cache; cp -a \(sandbox.root)/store0 \(sandbox.store); "
                    + "cp -a \(sandbox.root)/cache0 \(sandbox.home)/.cache")
            let result = try sandbox.spawn(
                ["gc", "--yes", "--grace", "0"].map { Array($0.utf8) }, variables: ["DFS_FAULT": "any:\(call):kill"]
            ).wait()
            guard result.code == 137 else { break }
            points += 1
            try sandbox.expect(0, "gc", "--yes", "--grace", "0")
            let verified = try sandbox.expect(0, "verify", "--data", "--json").rows().first
            #expect(verified?["unreferenced"]?.integer == 0, "after call \(call)")
            #expect(try sandbox.expect(0, "ls", "-l", "x@v2").output == kept)
            #expect(try sandbox.expect(0, "gc").output.contains("0 B can be freed"))
        }
        #expect(points >= 8)
    }
}

extension Sandbox {
    fileprivate func shell(_ line: String) throws {
        #expect(system(line) == 0, "\(line)")
    }
}
