import DFSChunking
import DFSHistory
import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

@Suite struct CommitTests {
    private func run(_ command: String) -> (status: Int32, output: String) {
        guard let pipe = popen(command, "r") else { return (-1, "") }
        var out = [UInt8](), buffer = [UInt8](repeating: 0, count: 4096)
        while case let n = fread(&buffer, 1, 4096, pipe), n > 0 { out += buffer[..<n] }
        return (pclose(pipe), String(decoding: out, as: UTF8.self))
    }

    @Test func aRealTreeComesBackTheSame() throws {
        let test = try TestRepository()
        let outcome = try test.commit("zoneinfo", "/usr/share/zoneinfo")
        #expect(outcome.isNew && outcome.version.number == 1)
        let copy = test.directory.sub("copy")
        try Export(reader: test.repository.reader).run(test.root(outcome.version), to: copy)
        let diff = run("diff -r --no-dereference /usr/share/zoneinfo \(copy)")
        #expect(diff.status == 0, "\(diff.output)")
        let listing = "find . -mindepth 1 -printf '%y %m %s %T@ %p %l\\n' | grep -v '^d' | sort"
        #expect(run("cd /usr/share/zoneinfo && \(listing)").output == run("cd \(copy) && \(listing)").output)
        #expect(try Checker(repository: test.repository).run(data: true, files: true).problems == [])
        let again = try test.commit("zoneinfo", "/usr/share/zoneinfo")
        #expect(!again.isNew && again.filesRead == 0)
    }

    /// What is stored already makes no pack of content, not an empty one either.
    @Test func aCopyAddsNoPackOfContent() throws {
        let test = try TestRepository()
        var random = SeededGenerator(seed: 14)
        let bytes = random.bytes(1_000_000)
        try test.directory.write("s/big", bytes)
        func packs() throws -> [String] { try test.repository.backend.list("packs/").filter { $0.hasSuffix(".pack") } }
        let first = try test.commit("d", test.directory.sub("s"))
        #expect(first.storedBytes == bytes.count)
        #expect(try packs().count == 2)
        try test.directory.write("s/copy", bytes)
        let second = try test.commit("d", test.directory.sub("s"))
        #expect(second.isNew && second.storedBytes == 0)
        #expect(try packs().count == 3)
        for pack in try packs() { #expect(try test.repository.backend.length(of: pack) ?? 0 > 0) }
        #expect(try Checker(repository: test.repository).run(data: true, files: true).problems == [])
    }

    private static let canMountBtrfs =
        getuid() == 0 && Files.exists("/usr/sbin/mkfs.btrfs") && Files.exists("/dev/loop-control")

    @Test(.enabled(if: canMountBtrfs, "needs root, loop devices and mkfs.btrfs"))
    func aLargeFileIsAClone() throws {
        let directory = try TemporaryDirectory()
        let (image, place) = (directory.sub("image"), directory.sub("btrfs"))
        try Files.makeDirectories(place)
        let made = run("truncate -s 400M \(image) && mkfs.btrfs -q \(image) && mount -o loop \(image) \(place) 2>&1")
        // A container may forbid the mount or the kernel lack Btrfs: then there is nothing to look at.
        guard made.status == 0 else { return }
        defer { _ = run("umount \(place)") }
        let signer = try KeyFile.load(orCreateAt: directory.sub("key"))
        try Repository.create(at: place + "/store", signer: signer)
        let repository = try Repository.open(at: place + "/store", cacheRoot: directory.sub("cache"))
        let size = 80 << 20
        _ = run("mkdir \(place)/source && head -c \(size) /dev/urandom > \(place)/source/large && sync -f \(place)")
        let before = try #require(try repository.backend.freeSpace())
        let outcome = try Commit(
            repository: repository, dataset: "x", source: place + "/source", options: CaptureOptions()
        ).run(by: signer)
        _ = run("sync -f \(place)")
        let after = try #require(try repository.backend.freeSpace())
        #expect(before < after + (16 << 20), "\(before - after) bytes were written")
        // What happens to the file later does not reach its clone.
        _ = run("head -c \(size) /dev/zero > \(place)/source/large")
        #expect(try Checker(repository: repository).run(data: true, files: true).problems == [])
        let root = TreeEntry.root(outcome.version.tree, modified: outcome.version.time)
        let entry = try #require(try repository.reader.entry(at: [Array("large".utf8)], below: root))
        #expect(entry.size == UInt64(size))
    }

    @Test func namesAreBytes() throws {
        let test = try TestRepository()
        let source = test.directory.sub("source")
        try Files.makeDirectories(source)
        let names: [[UInt8]] = [
            Array("new\nline".utf8), [0x66, 0xff, 0xfe], [UInt8](repeating: 0x78, count: 255), Array("é".utf8),
            Array("e\u{301}".utf8), Array("-rf".utf8), Array(" ".utf8), Array("100%".utf8), [0x80],
        ]
        for (i, name) in names.enumerated() { try TestFiles.write(name: name, in: source, [UInt8(i)]) }
        let outcome = try test.commit("odd", source)
        let root = test.root(outcome.version)
        let entries = try test.repository.reader.entries(of: try #require(root.address))
        #expect(entries.map(\.name) == names.sorted(by: ByteOrder.precedes))
        for (i, name) in names.enumerated() {
            let entry = try #require(try test.repository.reader.entry(at: [name], below: root))
            #expect(try test.repository.reader.bytes(of: entry) == [UInt8(i)])
        }
        try Export(reader: test.repository.reader).run(root, to: test.directory.sub("copy"))
        #expect(try DirectoryListing.names(of: test.directory.sub("copy")) == entries.map(\.name))
    }

    @Test func sizesAroundEveryLimit() throws {
        let parameters = StoreParameters(
            chunk: .init(minimum: 1024, average: 4096, maximum: 16384),
            largeChunk: .init(minimum: 4096, average: 16384, maximum: 65536), largeFrom: 40 << 20,
            packTarget: 4 << 20, singleFile: 1 << 20, zstdLevel: 3, zstdSaves: 30)
        let test = try TestRepository(parameters: parameters)
        var random = SeededGenerator(seed: 7)
        let sizes = [0, 1, 255, 4095, 4096, 4097, 16383, 16384, 16385, 1_048_575, 1_048_576, 1_048_577, 9_000_001]
        for size in sizes {
            try test.directory.write("source/random-\(size)", random.bytes(size))
            try test.directory.write(
                "source/text-\(size)",
                Array(repeating: Array("all work and no play\n".utf8), count: size / 21 + 1).flatMap { $0 }.prefix(size)
                    .map { $0 })
        }
        let outcome = try test.commit("sizes", test.directory.sub("source"))
        let copy = test.directory.sub("copy")
        try Export(reader: test.repository.reader).run(test.root(outcome.version), to: copy)
        let diff = run("diff -r \(test.directory.sub("source")) \(copy)")
        #expect(diff.status == 0, "\(diff.output)")
        #expect(try Checker(repository: test.repository).run(data: true, files: true).problems == [])
    }

    @Test func anEditedLargeFileStoresOnlyWhatIsNew() throws {
        let test = try TestRepository()
        var random = SeededGenerator(seed: 8)
        var bytes = random.bytes(48 << 20)
        try test.directory.write("source/shard", bytes)
        let first = try test.commit("shard", test.directory.sub("source"))
        #expect(first.storedBytes == 48 << 20)
        bytes.insert(contentsOf: random.bytes(1000), at: 20 << 20)
        try test.directory.write("source/shard", bytes)
        let second = try test.commit("shard", test.directory.sub("source"))
        #expect(second.version.number == 2)
        #expect(second.storedBytes < 2 << 20)
        let entry = try #require(
            try test.repository.reader.entry(at: [Array("shard".utf8)], below: test.root(second.version)))
        #expect(try test.repository.reader.bytes(of: entry) == bytes)
        #expect(try Checker(repository: test.repository).run(data: true, files: true).problems == [])
    }

    @Test func unchangedFilesKeepTheirFirstMtime() throws {
        let test = try TestRepository()
        try test.directory.write("source/a", "a")
        try test.directory.write("source/b", "b")
        let first = try test.commit("d", test.directory.sub("source"))
        usleep(50_000)
        try test.directory.write("source/a", "a")
        try test.directory.write("source/b", "changed")
        let second = try test.commit("d", test.directory.sub("source"))
        func mtime(_ name: String, _ v: VersionRecord) throws -> Timestamp? {
            try test.repository.reader.entry(at: [Array(name.utf8)], below: test.root(v))?.modified
        }
        #expect(second.version.number == 2)
        #expect(try mtime("a", first.version) == mtime("a", second.version))
        #expect(try mtime("b", first.version) != mtime("b", second.version))
    }

    @Test func sameContentMakesNoVersionAndABAMakesThree() throws {
        let test = try TestRepository()
        for (i, text) in ["A", "B", "A"].enumerated() {
            try test.directory.write("source/f", text)
            #expect(try test.commit("d", test.directory.sub("source")).version.number == i + 1)
            #expect(try !test.commit("d", test.directory.sub("source")).isNew)
        }
    }

    @Test func specialFilesAreNamedAndRefused() throws {
        let test = try TestRepository()
        try test.directory.write("source/good", "x")
        #expect(mkfifo(test.directory.sub("source/pipe"), 0o600) == 0)
        let error = #expect(throws: DFSError.self) { try test.commit("d", test.directory.sub("source")) }
        #expect(error?.what.contains("pipe") == true && error?.hint?.contains("--skip-special") == true)
        let outcome = try test.commit("d", test.directory.sub("source"), options: CaptureOptions(skipSpecial: true))
        #expect(outcome.isNew && outcome.notes.special == [Array("pipe".utf8)])
    }

    @Test func shrinkingIsRefused() throws {
        let test = try TestRepository()
        for i in 0..<10 { try test.directory.write("source/\(i)", "\(i)") }
        try test.commit("d", test.directory.sub("source"))
        for i in 0..<6 { try Files.remove(test.directory.sub("source/\(i)")) }
        #expect(throws: DFSError.self) { try test.commit("d", test.directory.sub("source")) }
        try Files.makeDirectories(test.directory.sub("empty"))
        #expect(throws: DFSError.self) { try test.commit("e", test.directory.sub("empty")) }
    }

    @Test func anotherHostReadsAndRebuilds() throws {
        let test = try TestRepository()
        try test.commit("z", "/usr/share/zoneinfo")
        let other = try test.reopened(cache: "other-cache")
        let version = try #require(try other.state().datasets["z"]?.latest)
        var files = 0
        try other.reader.walk(.root(version.tree, modified: version.time)) { _, entry throws(DFSError) in
            if entry.kind == .file {
                _ = try other.reader.bytes(of: entry)
                files += 1
            }
        }
        #expect(files > 100)
    }

    @Test func diffNamesWhatChanged() throws {
        let test = try TestRepository()
        for name in ["same", "changed", "gone", "dir/x", "dir/y", "kind"] {
            try test.directory.write("s/\(name)", name)
        }
        let a = try test.commit("d", test.directory.sub("s"))
        try test.directory.write("s/changed", "other")
        try Files.remove(test.directory.sub("s/gone"))
        try test.directory.write("s/new/deep", "n")
        try Files.remove(test.directory.sub("s/kind"))
        #expect(symlink("same", test.directory.sub("s/kind")) == 0)
        let b = try test.commit("d", test.directory.sub("s"))
        var found = [String]()
        try TreeDiff(reader: test.repository.reader).changes(from: test.root(a.version), to: test.root(b.version)) {
            found.append("\($0.kind.rawValue) \(NameText.display($0.path))")
        }
        #expect(found == ["modified changed", "removed gone", "modified kind", "added new", "added new/deep"])
    }
}
