import DFSHistory
import DFSLedger
import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

/// ls, log, show, cat, du, export, diff.
@Suite struct BrowseCommandTests {
    private let sandbox: Sandbox

    init() throws {
        sandbox = try Sandbox()
        try sandbox.commitTwice()
    }

    @Test func whatAReferenceStoodForIsSaid() throws {
        let time = try sandbox.open().state().datasets["faces"]?.latest?.time.short ?? ""
        func told(_ arguments: String...) throws -> String {
            let answer = try sandbox.call(arguments)
            #expect(answer.code <= 1, "\(answer.error)")
            return answer.error.split(separator: "\n").first { $0.contains(", recorded ") }.map(String.init) ?? ""
        }
        let sentence = "= faces@v2, recorded \(time)"
        for reference in ["faces@good", "faces@latest"] {
            #expect(try told("ls", reference) == "\(reference) \(sentence)")
            #expect(try told("du", reference) == "\(reference) \(sentence)")
            #expect(try told("show", reference) == "\(reference) \(sentence)")
            #expect(try told("cat", reference + "/a.txt") == "\(reference) \(sentence)")
            #expect(try told("diff", "faces@v1", reference) == "\(reference) \(sentence)")
            #expect(try told("ls", reference, "--quiet").isEmpty)
        }
        #expect(try told("cat", "faces@latest~1/a.txt").hasPrefix("faces@latest~1 = faces@v1, recorded "))
        #expect(try told("ls", "faces@0s").hasPrefix("faces@0s \(sentence)"))
        #expect(try told("ls", "faces@v2").isEmpty && told("ls", "faces").isEmpty)
    }

    @Test func logOfAPathThatNeverWas() throws {
        let answer = try sandbox.expect(11, "log", "faces", "--path", "sub/nope")
        #expect(answer.error.contains("error: no such path: faces/sub/nope"))
        #expect(try sandbox.expect(0, "log", "faces", "--path", "sub/b", "-q").output == "faces@v2\nfaces@v1\n")
    }

    @Test func listsInEveryForm() throws {
        let datasets = try sandbox.expect(0, "ls", "--json").rows()
        #expect(datasets.count == 1 && datasets[0]["dataset"] == "faces" && datasets[0]["version"] == 2)
        #expect(try sandbox.expect(0, "ls", "faces@v1", "-q").output == "a.txt\nbig\nsub\n")
        #expect(try sandbox.expect(0, "ls", "-l", "faces").output.contains("-rw-r--r--"))
        let file = try sandbox.expect(0, "ls", "faces@v1/a.txt", "--json").rows()
        #expect(file.count == 1 && file[0]["type"] == "file" && file[0]["size"] == 6)
        try sandbox.expect(11, "ls", "faces@v3")
        try sandbox.expect(11, "ls", "nothing")
        try sandbox.expect(11, "ls", "faces/none")
        #expect(try sandbox.expect(0, "ls", "code:").output.isEmpty)
    }

    @Test func logIsNewestFirst() throws {
        let rows = try sandbox.expect(0, "log", "faces", "--json").rows()
        #expect(rows.map { $0["reference"] } == ["faces@v2", "faces@v1"])
        #expect(rows[0]["tags"] == ["good"] && rows[1]["message"] == "first" && rows[0]["schema"] == "dfs.log/1")
        #expect(try sandbox.expect(0, "log", "-q", "faces", "--path", "sub/b").output == "faces@v2\nfaces@v1\n")
        #expect(try sandbox.expect(0, "log", "-q", "faces", "--path", "big").output == "faces@v1\n")
        let run = try sandbox.recordRun(command: ["true"], outcome: .failed)
        let all = try sandbox.expect(0, "log", "--json").rows().map { $0["type"]?.string ?? "" }
        #expect(all == ["run-ended", "run-started", "snapshot", "version", "version"])
        #expect(try sandbox.expect(0, "log").output.contains(String(run.uuid.digits.suffix(8))))
        try sandbox.expect(11, "log", "nothing")
    }

    @Test func showKnowsVersionsFilesAndRuns() throws {
        let version = try JSONValue.parse(try sandbox.expect(0, "show", "faces@v1", "--json").output)
        #expect(version["type"] == "version" && version["text"]?["message"] == "first")
        #expect(version["record"]?["metadata"]?["camera"] == "old" && version["schema"] == "dfs.show/1")
        let file = try sandbox.expect(0, "show", "faces@v1/a.txt").output
        #expect(file.contains("sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"))
        let run = try sandbox.recordRun(command: ["python", "train it.py"], outcome: .succeeded)
        let shown = try sandbox.expect(0, "show", "latest").output
        #expect(shown.contains("\(run)") && shown.contains("python 'train it.py'") && shown.contains("succeeded"))
        let json = try JSONValue.parse(try sandbox.expect(0, "show", "--json", "run:\(run)").output)
        #expect(json["type"] == "run" && json["record"]?["plan"]?["format"] == "dfs.run/1")
        try sandbox.expect(11, "show", "faces@v7")
        try sandbox.expect(11, "show", "run:deadbeef")
    }

    @Test func catIsBinarySafe() throws {
        let original = try Files.read(sandbox.work + "/src/big")
        let answer = try sandbox.expect(0, "cat", "faces@v1/big")
        #expect(answer.error.isEmpty)
        #expect(try Files.read(sandbox.root + "/scratch/out") == original)
        try #require(symlink("../a.txt", sandbox.work + "/src/sub/up") == 0)
        try #require(symlink("/etc/hostname", sandbox.work + "/src/sub/out") == 0)
        try sandbox.expect(0, "commit", "faces")
        #expect(try sandbox.expect(0, "cat", "faces/sub/up").output == "hello two\n")
        try sandbox.expect(11, "cat", "faces/sub/out")
        try sandbox.expect(64, "cat", "faces/sub")
        try sandbox.expect(11, "cat", "faces/none")
    }

    @Test func usageAddsUp() throws {
        let rows = try sandbox.expect(0, "du", "faces@v1", "--json").rows()
        let total = rows.last
        #expect(total?["total"] == true && total?["bytes"] == 300_008 && total?["files"] == 3)
        #expect(rows.dropLast().compactMap { $0["bytes"]?.integer }.reduce(0, +) == 300_008)
    }

    @Test func exportsAndNeverOverwrites() throws {
        let answer = try sandbox.expect(0, "export", "faces@v2", "copy", "--json")
        #expect(try JSONValue.parse(answer.output)["files"] == 3)
        try sandbox.expect(0, "status", "faces", "copy")
        let refused = try sandbox.expect(2, "export", "faces@v1", "copy")
        #expect(refused.error.contains("hint: dfs export faces@v1 \(sandbox.work)/copy/copy"))
        try sandbox.expect(0, "export", "faces@v1/a.txt", "single")
        #expect(try Files.read(sandbox.work + "/single") == Array("hello\n".utf8))
        #expect(try sandbox.expect(2, "export", "faces", "no/such/place").error.contains("hint: mkdir -p"))
        try sandbox.expect(11, "export", "faces@v9", "other")
    }

    @Test func diffTellsAndItsCodeToo() throws {
        let rows = try sandbox.expect(1, "diff", "faces@v1", "faces@v2", "--json").rows()
        let found = rows.map { "\($0["change"]?.string ?? "") \($0["path"]?.string ?? "")" }
        #expect(found == ["modified a.txt", "removed sub/b", "added sub/c"])
        #expect(try sandbox.expect(1, "diff", "faces@v1", "faces", "--name-only").output == "a.txt\nsub/b\nsub/c\n")
        let stat = try JSONValue.parse(try sandbox.expect(1, "diff", "faces@v1", "faces", "--stat", "--json").output)
        #expect(stat["added"] == 1 && stat["removed"] == 1 && stat["modified"] == 1)
        try Files.removeTree(sandbox.work + "/src/sub")
        try sandbox.write("n\n", to: "work/src/moved/here/c")
        try sandbox.expect(0, "commit", "faces")
        let moved = try sandbox.expect(1, "diff", "faces@v2", "faces@v3", "--json").rows()
        #expect(moved.map { $0["change"] } == ["added", "renamed"])
        #expect(moved[1]["from"] == "sub" && moved[1]["path"] == "moved/here")
        #expect(try sandbox.expect(1, "diff", "faces@v2", "faces@v3").output.contains("sub/ -> moved/here/"))
        #expect(
            try sandbox.expect(1, "diff", "faces@v2", "faces@v3", "--name-only", "--no-renames").output
                == "moved\nmoved/here\nmoved/here/c\nsub\nsub/c\n")
        let sums = try JSONValue.parse(try sandbox.expect(1, "diff", "faces@v1", "faces@v3", "--stat", "--json").output)
        #expect(sums["total"]?["removed"] == ["bytes": 2, "files": 1] && sums["renamed"] == 0)
        #expect(sums["directories"]?.array?.map { $0["path"] } == ["", "moved", "sub"])
        let log = try sandbox.expect(0, "log", "faces", "--path", "sub", "--json").rows()
        #expect(
            log.map { $0["change"] } == ["removed", "modified", "added"] && log[2]["after"]?["type"] == "directory")
        #expect(try sandbox.expect(64, "log", "faces", "--path", "").error.contains("--path is empty"))
        try sandbox.expect(64, "log", "--path", "")
        try sandbox.expect(0, "diff", "faces@v2", "faces@v2")
        try sandbox.expect(1, "diff", "faces@v1/a.txt", "faces@v2/a.txt")
        try sandbox.expect(0, "diff", "faces@v1/big", "faces@v2/big")
        try sandbox.expect(11, "diff", "faces@v1", "faces@v4")
    }

    @Test func namesThatAreNoTextGoThrough() throws {
        let name: [UInt8] = [0x66, 0xff, 0x0a, 0x25]
        try TestFiles.write(name: name, in: sandbox.work + "/src", [7])
        try sandbox.expect(0, "commit", "faces")
        let rows = try sandbox.expect(0, "ls", "faces", "--json").rows()
        let odd = rows.compactMap { $0["path"]?.string }.first { $0.contains("%") }
        #expect(odd.flatMap { NameText.decode($0) } == name)
        let result = try sandbox.spawn([Array("cat".utf8), Array("faces/".utf8) + name]).wait()
        #expect(result.code == 0 && result.output == [7])
    }
}
