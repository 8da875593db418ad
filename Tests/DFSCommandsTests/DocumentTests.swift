import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
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

    /// `tools/verify.py --all` finds damage that no run reaches, and asks nothing of what was removed.
    @Test func theOfflineVerifierChecksWhatNoRunReaches() throws {
        try sandbox.commitTwice()
        _ = try sandbox.recordRun(command: ["x"], outcome: .succeeded)
        func check(_ scope: String) throws -> Int32 {
            try run("/usr/bin/python3", [Self.repository + "/tools/verify.py", sandbox.store, scope]).code
        }
        #expect(try check("--all") == 0)
        let digest = try #require(
            try sandbox.expect(0, "ls", "faces@v1", "--json").rows().first { $0["path"] == "a.txt" }?["content"]?.string
        )
        let chunk = try #require(Digest(text: digest))
        let place = try #require(try sandbox.open().objects.find(chunk))
        let pack = sandbox.store + "/" + PackIndex.packKey(place.pack)
        let whole = try #require(try Files.read(pack))
        var bytes = whole
        bytes[Int(place.item.offset)] ^= 1
        chmod(pack, 0o644)
        try TestFiles.write(pack, bytes)
        #expect(try check("--all-runs") == 0)
        #expect(try check("--all") == 1)
        try TestFiles.write(pack, whole)
        #expect(try check("--all") == 0)
        try sandbox.expect(0, "dataset", "rm", "faces@v1", "--reason", "test")
        try sandbox.expect(0, "gc", "--yes", "--grace", "0")
        #expect(try check("--all") == 0)
    }

    /// `tools/tree_digest.py`, written from FORMAT.md alone, finds the content digest that a commit prints.
    @Test func theDigestOfADirectoryIsThatOfItsVersion() throws {
        let odd: [[UInt8]] = [
            Array("new\nline".utf8), [0x66, 0xff], Array("e\u{301}".utf8), Array("é".utf8), Array("-n".utf8),
        ]
        try sandbox.write("#!/bin/sh\n", to: "work/src/run.sh")
        chmod(sandbox.work + "/src/run.sh", 0o755)
        try sandbox.write("", to: "work/src/empty")
        try sandbox.write("deep\n", to: "work/src/a/b/c")
        try Files.makeDirectories(sandbox.work + "/src/nothing")
        #expect(symlink("a/b/c", sandbox.work + "/src/link") == 0)
        for name in odd { try TestFiles.write(name: name, in: sandbox.work + "/src", name) }
        for source in [sandbox.work + "/src", "/usr/share/zoneinfo"] {
            let commit = try JSONValue.parse(Array(try sandbox.expect(0, "commit", "x", source, "--json").output.utf8))
            let tool = try run("/usr/bin/python3", [Self.repository + "/tools/tree_digest.py", source])
            #expect(tool.code == 0, "\(tool.errorText)")
            #expect(commit["content"]?.string == tool.outputText.split(separator: "\n").last.map(String.init))
        }
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

    /// The tests that SEMANTICS.md says carry its promises are there.
    @Test func thePromisesHaveTheirTests() throws {
        let text = String(decoding: try #require(try Files.read(Self.repository + "/docs/SEMANTICS.md")), as: UTF8.self)
        var named = 0
        for group in text.matches(of: /\[([A-Z][A-Za-z]+: [^\]]+)\]/).flatMap({ $0.1.split(separator: "; ") }) {
            guard let colon = group.firstIndex(of: ":") else { continue }
            let folder = Self.repository + "/Tests/DFS\(group[..<colon])Tests"
            var sources = ""
            for name in try DirectoryListing.names(of: folder) where name.suffix(6).elementsEqual(".swift".utf8) {
                let path = folder + "/" + String(decoding: name, as: UTF8.self)
                sources += String(decoding: try Files.read(path) ?? [], as: UTF8.self)
            }
            for name in group[group.index(after: colon)...].split(separator: ",") {
                guard let word = name.firstMatch(of: /[A-Za-z0-9]+/)?.0 else { continue }
                #expect(sources.contains("func \(word)("), "\(group)")
                named += 1
            }
        }
        #expect(named > 80)
    }
}
