import DFSLedger
import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

/// Documents and the tools that were written from them alone say the same as the program.
@Suite struct DocumentTests {
    private static let repository = Files.parent(Files.parent(Files.parent(#filePath)))

    private let sandbox: Sandbox

    init() throws { sandbox = try Sandbox() }

    private func run(_ program: String, _ arguments: [String]) throws -> SpawnedProgram.Result {
        try SpawnedProgram(
            program, arguments.map { Array($0.utf8) },
            variables: ["HOME": sandbox.home, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"], in: sandbox.work,
            scratch: sandbox.root + "/scratch"
        ).wait()
    }

    /// `tools/verify.py` and `dfs audit verify` agree on 200 stores that were altered in one place each. The seed is
    /// another one each time, and in what a failure prints.
    @Test func theOfflineVerifierAgrees() throws {
        try sandbox.commitTwice()
        _ = try sandbox.recordRun(command: ["x"], outcome: .succeeded, logs: ["stdout": "out\n"])
        let seed = UInt32.random(in: 1...1_000_000)
        let result = try run(
            "/usr/bin/python3",
            [
                Self.repository + "/tools/agreement.py", SpawnedProgram.products + "/dfs", sandbox.store, "200",
                String(seed),
            ])
        #expect(result.code == 0, "\(result.outputText)\(result.errorText)")
        let last = try #require(result.outputText.split(separator: "\n").last)
        #expect(last.hasSuffix(" 0 disagreements"), "\(last)")
        // Not found is what changes nothing that matters: the last entry removed, a file exchanged with itself.
        let bad = try #require(last.split(separator: " ").dropFirst(5).first.flatMap { Int($0) })
        #expect(bad >= 120, "\(last)")
    }

    /// The commands of FORMAT.md's worked examples print what stands below them.
    @Test func theExamplesOfTheFormatAreTrue() throws {
        let text = String(decoding: try #require(try Files.read(Self.repository + "/docs/FORMAT.md")), as: UTF8.self)
        // Commands stand in fences marked `bash`; what they print, if anything, in the fence that follows at once.
        let examples = text.split(separator: "```bash\n").dropFirst()
        var output = [String]()
        for example in examples {
            let parts = example.split(separator: "```\n", omittingEmptySubsequences: false)
            // All in one directory: some make the files that later ones read.
            let result = try run("/bin/bash", ["-ec", String(parts[0])])
            #expect(result.code == 0, "\(parts[0])\(result.errorText)")
            let expected = parts.count > 2 && parts[1].isEmpty ? String(parts[2]) : ""
            #expect(result.outputText == expected, "\(parts[0])")
            output.append(expected)
        }
        #expect(output.count { !$0.isEmpty } == 6)
    }
}
