import DFSCommands
import DFSLedger
import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

/// Bad stores and bad surroundings: always an error or a finding, never silence, nothing lost.
@Suite struct DamageTests {
    private let sandbox: Sandbox

    init() throws { sandbox = try Sandbox() }

    private func files(_ directory: String) throws -> [String] {
        try DirectoryListing.names(of: directory).flatMap { name -> [String] in
            let path = directory + "/" + String(decoding: name, as: UTF8.self)
            return Files.isDirectory(path) ? try files(path) : [path]
        }
    }

    private func replace(_ path: String, _ bytes: [UInt8]) throws {
        let file = try OwnedDescriptor.open(path, O_WRONLY | O_TRUNC)
        try Files.write(bytes, to: file.raw, what: path)
    }

    @Test func aFlippedBitInAnyFileIsFound() throws {
        try sandbox.commitTwice()
        _ = try sandbox.recordRun(command: ["x"], outcome: .succeeded, logs: ["stdout": "out\n"])
        try sandbox.expect(0, "verify", "--data")
        try sandbox.expect(0, "audit", "verify", "--all-runs")
        var random = SeededGenerator(seed: 41)
        let all = try files(sandbox.store)
        #expect(all.count > 12)
        for path in all {
            let whole = try Files.read(path) ?? []
            guard !whole.isEmpty else { continue }
            for _ in 0..<3 {
                var bytes = whole
                let (at, bit) = (Int.random(in: bytes.indices, using: &random), UInt8.random(in: 0..<8, using: &random))
                bytes[at] ^= 1 << bit
                try replace(path, bytes)
                let answer = try sandbox.call("verify", "--data")
                #expect(answer.code != 0, "\(path) byte \(at) bit \(bit)")
                #expect([1, 2, 10].contains(answer.code), "\(path) byte \(at) bit \(bit): \(answer.code)")
            }
            try replace(path, whole)
        }
        try sandbox.expect(0, "verify", "--data")
    }

    @Test func aTruncatedPackIsNamedWithWhatItAffects() throws {
        try sandbox.commitTwice()
        let packs = try files(sandbox.store + "/packs").filter { $0.hasSuffix(".pack") }
        let big = try #require(
            try packs.max { try FileStatus.of(path: $0)?.size ?? 0 < FileStatus.of(path: $1)?.size ?? 0 })
        try #require(truncate(big, 100_000) == 0)
        let answer = try sandbox.expect(1, "verify")
        #expect(answer.output.contains("affects faces@v1/big") && answer.output.contains("its table says"))
        let json = try JSONValue.parse(try sandbox.expect(1, "verify", "--data", "--json").output)
        #expect(json["schema"] == "dfs.verify/1" && json["sound"] == false)
        try sandbox.expect(1, "cat", "faces/big")
        #expect(try sandbox.expect(0, "cat", "faces@v2/sub/c").output == "n\n")
        try sandbox.expect(1, "export", "faces", "copy")
    }

    @Test func otherStoresAreRefusedByName() throws {
        try sandbox.write("x", to: "work/plain/file")
        let plain = try sandbox.expect(10, "ls", "--store", "plain")
        #expect(plain.error.contains("plain is not a store") && plain.error.contains("hint: dfs init"))
        #expect(
            try sandbox.expect(10, "log", "--store", "absent").error.contains("hint: dfs init \(sandbox.work)/absent"))
        try sandbox.commitTwice()
        let file = sandbox.store + "/dfs-store.json"
        let text = String(decoding: try Files.read(file) ?? [], as: UTF8.self)
        let parts = text.split(separator: "dfs.store/1", omittingEmptySubsequences: false)
        try #require(parts.count == 2)
        chmod(file, 0o644)
        try replace(file, Array((parts[0] + "dfs.store/2" + parts[1]).utf8))
        let newer = try sandbox.expect(2, "log")
        #expect(newer.error.contains("has the format dfs.store/2") && newer.error.contains("hint: install a newer dfs"))
    }

    @Test func theLedgerIsChecked() throws {
        try sandbox.commitTwice()
        let answer = try sandbox.expect(0, "audit", "verify", "--json")
        let json = try JSONValue.parse(answer.output)
        #expect(json["entries"] == 3 && json["keys"] == 1 && json["texts"] == 2 && json["sound"] == true)
        let rows = try sandbox.expect(0, "audit", "log", "--json").rows()
        #expect(rows.map { $0["entry"] } == [1, 2, 3] && rows[0]["schema"] == "dfs.audit-log/1")
        try sandbox.expect(11, "audit", "verify", "--run", "deadbeef")
        let entry = sandbox.store + "/ledger/000000000/000000000002.json"
        let whole = try Files.read(entry) ?? []
        try Files.remove(entry)
        let gap = try sandbox.expect(1, "audit", "verify")
        #expect(gap.output.contains("it is missing, later ones exist"))
        try sandbox.write(whole, to: "home/.local/share/dfs/store/ledger/000000000/000000000002.json")
        try sandbox.expect(0, "audit", "verify")
    }

    /// A store on a file system of 8 MiB.
    @Test(.enabled(if: geteuid() == 0)) func aFullDiskLosesNothing() throws {
        let small = sandbox.root + "/small"
        try Files.makeDirectories(small)
        try #require(mount("tmpfs", small, "tmpfs", 0, "size=8m") == 0)
        defer { umount2(small, 2) }
        var random = SeededGenerator(seed: 5)
        try sandbox.write(random.bytes(12 << 20), to: "work/large/a")
        try sandbox.expect(0, "init", small + "/store")
        let first = try sandbox.expect(2, "commit", "d", "large", "--store", small + "/store")
        #expect(first.error.contains("it needs up to 12.0 MiB") && first.error.contains("hint: df -h"))
        try sandbox.write(random.bytes(5 << 20), to: "work/src/a")
        try sandbox.expect(0, "commit", "d", "src", "--store", small + "/store")
        // As large as before, so nothing tells in advance that all of it is new.
        try sandbox.write(random.bytes(5 << 20), to: "work/src/a")
        let full = try sandbox.expect(2, "commit", "d", "src", "--store", small + "/store")
        #expect(full.error.contains("No space left on device") && full.error.contains("hint: df -h"))
        try sandbox.expect(0, "verify", "--data", "--store", small + "/store")
        #expect(try sandbox.expect(0, "ls", "-q", "d", "--store", small + "/store").output == "a\n")
    }

    /// As somebody who cannot read everything.
    @Test(.enabled(if: geteuid() == 0)) func anUnreadableFileIsNamed() throws {
        let open = try TemporaryDirectory()
        chmod(open.path, 0o777)
        try open.write("src/a", "a")
        try open.write("src/secret", "s", mode: 0o000)
        let program = SpawnedProgram.products + "/dfs"
        let command =
            "cd / && setpriv --reuid 65534 --regid 65534 --clear-groups env -i HOME=\(open.path)/home "
            + "\(program) commit d \(open.path)/src 2>&1; echo code $?"
        let pipe = try #require(popen(command, "r"))
        var out = [UInt8](), buffer = [UInt8](repeating: 0, count: 4096)
        while case let n = fread(&buffer, 1, 4096, pipe), n > 0 { out += buffer[..<n] }
        pclose(pipe)
        let text = String(decoding: out, as: UTF8.self)
        #expect(text.contains("error: cannot read \(open.path)/src/secret") && text.hasSuffix("code 2\n"), "\(text)")
        #expect(text.contains("hint: chmod -R u+rX \(open.path)/src/secret"))
    }

    @Test func unknownCommandsAndReferences() throws {
        #expect(try sandbox.expect(64, "comit").error.contains("did you mean commit?"))
        #expect(try sandbox.expect(64, "checkout").error.contains("hint: dfs export --help"))
        #expect(try sandbox.expect(64, "audit", "verfy").error.contains("hint: dfs audit verify"))
        try sandbox.commitTwice()
        try sandbox.expect(64, "ls", "/etc")
        try sandbox.expect(64, "ls", "faces/../..")
        try sandbox.expect(11, "ls", "faces@2999-01-01")
    }

    /// Every fsync of a commit fails once: the command fails, nothing is acknowledged, and the next one works.
    @Test func aFailedSynchronisationIsNeverAcknowledged() throws {
        try sandbox.commitTwice()
        var failures = 0
        for call in 1...60 {
            try sandbox.write("round \(call)\n", to: "work/src/a.txt")
            let result = try sandbox.spawn(
                ["commit", "faces", "src"].map { Array($0.utf8) }, variables: ["DFS_FAULT": "fsync:\(call):\(EIO)"]
            ).wait()
            if result.code == 0 { break }
            failures += 1
            #expect(result.code == 2 && result.errorText.hasPrefix("error: cannot fsync"), "\(result.errorText)")
            try sandbox.expect(0, "verify", "--data")
        }
        // Packs, tables, entry, and the folder of each.
        #expect((6..<60).contains(failures))
        try sandbox.expect(0, "commit", "faces", "src")
        try sandbox.expect(0, "verify", "--data")
    }

    /// NFS knows no rename that does not replace.
    @Test func packsArePublishedWithoutSuchARename() throws {
        try sandbox.commitTwice()
        try sandbox.write("changed\n", to: "work/src/a.txt")
        let result = try sandbox.spawn(
            ["commit", "faces", "src"].map { Array($0.utf8) }, variables: ["DFS_FAULT": "rename:1:\(EINVAL)"]
        ).wait()
        #expect(result.code == 0, "\(result.errorText)")
        try sandbox.expect(0, "verify", "--data")
        #expect(try DirectoryListing.names(of: sandbox.store + "/tmp").isEmpty)
    }

    @Test func anInterruptedInitCanBeRepeated() throws {
        let store = sandbox.root + "/new"
        let killed = try sandbox.spawn(
            ["init", store].map { Array($0.utf8) }, variables: ["DFS_FAULT": "link:2:kill"]
        ).wait()
        #expect(killed.code == 137 && Files.isDirectory(store))
        try sandbox.expect(0, "init", store)
        try sandbox.expect(0, "--store", store, "ls")
    }
}
