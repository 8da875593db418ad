import DFSCommands
import DFSHistory
import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

/// `dfs repair`: damage of each kind, from a directory and from a store, in whole and in part.
@Suite struct RepairTests {
    private let sandbox: Sandbox

    init() throws {
        sandbox = try Sandbox()
        var random = SeededGenerator(seed: 61)
        for i in 0..<12 { try sandbox.write(random.bytes(3000 + i * 500), to: "work/src/sub/f\(i)") }
        try sandbox.write(random.bytes(700_000), to: "work/src/chunks")
        try sandbox.write(random.bytes(34 << 20), to: "work/src/single")
        try sandbox.write(String(repeating: "all work and no play\n", count: 4000), to: "work/src/text")
        try sandbox.expect(0, "commit", "faces", "src")
        try sandbox.write("second\n", to: "work/src/sub/f0")
        try sandbox.expect(0, "commit", "faces", "src")
        try #require(system("cp -a \(sandbox.store) \(sandbox.root)/replica") == 0)
    }

    private var replica: String { sandbox.root + "/replica" }

    private func keys(_ suffix: String) throws -> [String] {
        let root = sandbox.store + "/packs"
        return try DirectoryListing.names(of: root).flatMap { folder in
            let folder = NameText.encode(folder)
            return try DirectoryListing.names(of: root + "/" + folder).map { "packs/\(folder)/\(NameText.encode($0))" }
        }.filter { $0.hasSuffix(suffix) }
    }

    private func flip(_ key: String, at offset: Int) throws {
        let path = sandbox.store + "/" + key
        var bytes = try #require(try Files.read(path))
        bytes[offset] ^= 4
        try #require(unlink(path) == 0)
        try TestFiles.write(path, bytes)
    }

    private func isMetadata(_ pack: String) throws -> Bool {
        let table = try #require(try Files.read(sandbox.store + "/" + pack.dropLast(5) + ".idx"))
        return table[7] == 3
    }

    /// Both versions read as they were recorded, and who knows nothing of this program agrees.
    private func isWhole() throws {
        try sandbox.expect(0, "verify", "--data", "--files")
        try? Files.removeTree(sandbox.work + "/copy")
        try sandbox.expect(0, "export", "faces@v2", "copy")
        #expect(system("diff -r \(sandbox.work)/src \(sandbox.work)/copy") == 0)
        try sandbox.expect(0, "cat", "faces@v1/sub/f0")
    }

    @Test func anyDamageIsRepairedFromAReplica() throws {
        let packs = try keys(".pack"), tables = try keys(".idx")
        #expect(packs.count >= 4)
        for key in packs + tables {
            let path = sandbox.store + "/" + key
            let whole = try #require(try Files.read(path))
            for damage in 0..<3 {
                switch damage {
                case 0: try flip(key, at: whole.count / 2)
                case 1: try #require(truncate(path, off_t(whole.count / 3)) == 0)
                default: try #require(unlink(path) == 0)
                }
                try sandbox.expect(1, "verify", "--data")
                let answer = try sandbox.expect(0, "repair", "--from", replica)
                #expect(answer.output.contains("repaired \(key)"), "\(answer.output)")
                #expect(try Files.read(path) == whole, "\(key) damage \(damage)")
                #expect(try FileStatus.of(path: path)?.mode == 0o444)
            }
        }
        try isWhole()
        // What was bad is kept, with a reason.
        let aside = try DirectoryListing.names(of: sandbox.store + "/aside").map { NameText.encode($0) }
        #expect(
            aside.count == (packs.count + tables.count) * 4 && aside.count { $0.hasSuffix(".why") } * 2 == aside.count)
        #expect(try sandbox.expect(0, "repair", "--from", replica).output.contains("nothing was repaired"))
        #expect(system("/usr/bin/env python3 \(Self.verifier) \(sandbox.store) >/dev/null") == 0)
    }

    private static let verifier =
        String(#filePath.dropLast("Tests/DFSCommandsTests/RepairTests.swift".count)) + "tools/verify.py"

    /// The files themselves are enough for all that is content.
    @Test func contentIsRepairedFromADirectory() throws {
        var repaired = 0
        for key in try keys(".pack") where try !isMetadata(key) {
            let path = sandbox.store + "/" + key
            let size = Int(try #require(try FileStatus.of(path: path)).size)
            try flip(key, at: size / 2)
            try #require(truncate(path, off_t(size - size / 8)) == 0)
            repaired += 1
        }
        #expect(repaired >= 2)
        // What the second version has replaced is in no directory any more: a chunk of v1 may still be missing.
        try sandbox.expect(1, "verify")
        try sandbox.expect(0, "export", "--store", replica, "faces@v1", "old")
        // By another name of the directory.
        try #require(symlink(sandbox.work, sandbox.root + "/link") == 0)
        let answer = try sandbox.expect(0, "repair", "--from", "../link")
        #expect(answer.output.contains("\(repaired) files repaired"), "\(answer.output)")
        try isWhole()
    }

    @Test func aDirectoryThatCannotBeReadIsNamed() throws {
        try sandbox.expect(2, "repair", "--from", "absent")
        let gone = DirectoryReplacements(root: sandbox.work + "/absent", parameters: .standard, threads: 2)
        let error = #expect(throws: DFSError.self) { try gone.locate([:]) }
        #expect(error?.what.contains("/absent") == true && error?.hint != nil)
    }

    /// The program on its own, so that waiting for ever is a failure, with a cache that knows nothing.
    private func code(_ command: String) throws -> Int32 {
        try Files.removeTree(sandbox.root + "/fresh")
        let status = system(
            "cd \(sandbox.work) && env -i HOME=\(sandbox.home) XDG_CACHE_HOME=\(sandbox.root)/fresh timeout 60 "
                + "\(SpawnedProgram.products)/dfs \(command) >/dev/null 2>&1")
        return status >> 8 & 0xff
    }

    @Test func aFifoKeepsNobodyWaiting() throws {
        let entry = "ledger/000000000/000000000002.json"
        for key in [try #require(try keys(".pack").first), try #require(try keys(".idx").last), entry] {
            let path = sandbox.store + "/" + key
            let whole = try #require(try Files.read(path))
            try #require(unlink(path) == 0 && mkfifo(path, 0o644) == 0)
            for command in ["cat faces/single", "gc", "export faces copy"] {
                #expect(try code(command) != 124, "\(command) with \(key)")
                try Files.removeTree(sandbox.work + "/copy")
            }
            #expect([1, 2].contains(try code("verify --data")), "\(key)")
            #expect(system("timeout 60 python3 \(Self.verifier) \(sandbox.store) --all >/dev/null") >> 8 & 0xff == 1)
            #expect(try code("repair --from \(replica)") == 0, "\(key)")
            #expect(try Files.read(path) == whole, "\(key)")
        }
        for key in ["ledger/bundles/000000000.bundle", "leases/x.json"] {
            let path = sandbox.store + "/" + key
            try Files.makeDirectories(Files.parent(path))
            try #require(mkfifo(path, 0o644) == 0)
            for command in ["gc", "verify", "cat faces/text"] {
                #expect(try code(command) != 124, "\(command) with \(key)")
            }
            try #require(unlink(path) == 0)
        }
        try isWhole()
    }

    /// What a killed repair leaves of its cache is swept, not what one in progress has.
    @Test func cachesOfKilledRepairsAreSwept() throws {
        let cache = sandbox.home + "/.cache/dfs"
        try sandbox.write("x", to: "home/.cache/dfs/repair-00/store/index/data")
        try sandbox.write("x", to: "home/.cache/dfs/repair-01/store/index/data")
        let used = try OwnedDescriptor.open(cache + "/repair-01", O_RDONLY | O_DIRECTORY)
        try #require(flock(used.raw, LOCK_EX) == 0)
        #expect(try sandbox.call("doctor").output.contains("1 directory left by killed repairs"))
        #expect(try sandbox.call("doctor", "--repair").output.contains("swept 1 directory of killed repairs"))
        #expect(!Files.exists(cache + "/repair-00") && Files.exists(cache + "/repair-01/store/index/data"))
        #expect(try !sandbox.call("doctor").output.contains("killed repairs"))
        try sandbox.expect(0, "repair", "--from", replica)
        #expect(try DirectoryListing.names(of: cache).filter { $0.starts(with: "repair-".utf8) }.count == 1)
    }

    @Test func whatIsNotFoundIsTold() throws {
        let key = try #require(try keys(".pack").first { key in try !isMetadata(key) })
        let lost = sandbox.store + "/" + key
        try #require(unlink(lost) == 0)
        let pack = key
        try sandbox.write("nothing", to: "work/elsewhere/of use")
        let none = try sandbox.expect(1, "repair", "--from", "elsewhere")
        #expect(none.output.contains("\(pack) is missing") && none.output.contains("nothing was repaired"))
        #expect(!Files.exists(lost))
        // In part: all but one file.
        let all = try sandbox.expect(0, "verify", "--store", replica).output
        #expect(all.contains("no problems"))
        let affected = try JSONValue.parse(try sandbox.expect(1, "verify", "--json").output)
        let first = affected["problems"]?.array?.first?["affects"]?.array?.first?.string ?? ""
        let name = String(first.split(separator: "/", maxSplits: 1).last ?? "")
        #expect(system("cp -r \(sandbox.work)/src \(sandbox.work)/most && rm \(sandbox.work)/most/\(name)") == 0)
        let some = try sandbox.expect(1, "repair", "--from", "most")
        #expect(some.output.contains("affects \(first)"), "\(some.output)")
        try sandbox.expect(0, "repair", "--from", replica)
        try isWhole()
    }

    @Test func entriesAndTheDescriptionComeBack() throws {
        let entries = (1...3).map { sandbox.store + "/ledger/000000000/00000000000\($0).json" }
        try #require(unlink(entries[1]) == 0)
        try #require(unlink(sandbox.store + "/dfs-store.json") == 0)
        try sandbox.expect(0, "repair", "--from", replica)
        try #require(truncate(entries[2], 100) == 0)
        try sandbox.expect(0, "repair", "--from", replica)
        try #require(unlink(entries[2]) == 0)
        let answer = try sandbox.expect(0, "repair", "--from", replica)
        #expect(answer.output.contains("repaired ledger/000000000/000000000003.json"))
        #expect(system("diff -r \(sandbox.store)/ledger \(replica)/ledger") == 0)
        try isWhole()
        // Two histories are not mixed.
        try sandbox.write("mine", to: "work/src/mine")
        try sandbox.expect(0, "commit", "faces", "src")
        try sandbox.write("yours", to: "work/src/yours")
        try sandbox.expect(0, "commit", "--store", replica, "faces", "src")
        let refused = try sandbox.expect(2, "repair", "--from", replica)
        #expect(refused.error.contains("two histories"))
    }
}
