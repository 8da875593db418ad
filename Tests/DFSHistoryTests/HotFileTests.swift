import DFSHistory
import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

@Suite struct HotFileTests {
    /// Stores that make packs of single files of 1 MiB and more.
    private static let parameters: StoreParameters = {
        var parameters = StoreParameters.standard
        parameters.singleFile = 1 << 20
        return parameters
    }()

    private let test: TestRepository

    init() throws { test = try TestRepository(parameters: Self.parameters) }

    /// Bytes that compress well and differ everywhere.
    private func text(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        var out = [UInt8]()
        while out.count < count { out += Array("line \(out.count) \(generator.next() % 1000) \n".utf8) }
        return Array(out.prefix(count))
    }

    private func commit(_ files: [String: [UInt8]], to dataset: String = "d") throws -> TreeEntry {
        for (name, bytes) in files { try test.directory.write("\(dataset)/\(name)", bytes) }
        return test.root(try test.commit(dataset, test.directory.sub(dataset)).version)
    }

    private func entry(_ name: String, in root: TreeEntry) throws -> TreeEntry {
        try #require(try test.repository.reader.entry(at: [Array(name.utf8)], below: root))
    }

    private func hot(limit: UInt64? = nil) -> HotFiles {
        HotFiles(directory: test.repository.cacheDirectory, reader: test.repository.reader, limit: limit)
    }

    private func content(_ hold: HotFiles.Hold?) throws -> [UInt8] {
        try Files.read(try #require(hold).descriptor, what: "a hot file")
    }

    @Test func aCopyIsMadeOnceAndUsed() throws {
        let bytes = text(1_500_000)
        let file = try entry("f", in: try commit(["f": bytes]))
        let hot = hot()
        #expect(hot.open(file.content, size: file.size) == nil)
        #expect(try hot.make(file) == .made)
        #expect(try hot.make(file) == .present)
        #expect(try content(hot.open(file.content, size: file.size)) == bytes)
        #expect(hot.bytes == 1_500_000)
        let path = try #require(hot.open(file.content, size: file.size)?.path)
        #expect(
            path == test.repository.cacheDirectory + "/hot/files/\(file.content.digest.hex.prefix(2))/\(file.content)")
        #expect(try FileStatus.of(path: path)?.mode == 0o400)
        // Another process finds it too.
        #expect(try content(self.hot().open(file.content, size: file.size)) == bytes)
    }

    @Test(arguments: ["write", "touch", "mode", "replace", "truncate", "link"])
    func aChangedCopyIsNotUsed(change: String) throws {
        let bytes = text(1_200_000)
        let file = try entry("f", in: try commit(["f": bytes]))
        let hot = hot()
        #expect(try hot.make(file) == .made)
        let path = try #require(hot.open(file.content, size: file.size)?.path)
        usleep(20_000)
        switch change {
        case "write":
            try #require(chmod(path, 0o600) == 0)
            try TestFiles.write(path, Array(bytes.dropLast()) + [0], mode: 0o400)
        case "touch": try #require(utimensat(AT_FDCWD, path, nil, 0) == 0)
        case "mode": try #require(chmod(path, 0o444) == 0)
        case "replace":
            try Files.remove(path)
            try TestFiles.write(path, bytes, mode: 0o400)
        case "truncate": try #require(truncate(path, 1000) == 0)
        default:
            try test.directory.write("elsewhere", bytes, mode: 0o400)
            try Files.remove(path)
            try #require(symlink(test.directory.sub("elsewhere"), path) == 0)
        }
        #expect(hot.open(file.content, size: file.size) == nil)
        #expect(try hot.make(file) == .made)
        #expect(try content(hot.open(file.content, size: file.size)) == bytes)
    }

    @Test func theBoundHolds() throws {
        let size = 1_100_000
        let root = try commit(["a": text(size, seed: 1), "b": text(size, seed: 2), "c": text(size, seed: 3)])
        let (a, b, c) = (try entry("a", in: root), try entry("b", in: root), try entry("c", in: root))
        let hot = hot(limit: UInt64(size) * 5 / 2)
        #expect(try hot.make(a) == .made)
        usleep(20_000)
        #expect(try hot.make(b) == .made)
        usleep(20_000)
        // Used last, so it stays.
        #expect(hot.open(a.content, size: a.size) != nil)
        #expect(try hot.make(c) == .made)
        #expect(hot.open(a.content, size: a.size) != nil && hot.open(b.content, size: b.size) == nil)
        #expect(hot.bytes == UInt64(size) * 2)
        let holds = [try #require(hot.open(a.content, size: a.size)), try #require(hot.open(c.content, size: c.size))]
        guard case .skipped(let reason) = try hot.make(b) else {
            Issue.record("a file in use was removed")
            return
        }
        #expect(reason.contains("in use"))
        #expect(holds.count == 2 && hot.bytes == UInt64(size) * 2)
        guard case .skipped = try self.hot(limit: 1 << 20).make(a) else { return }
        Issue.record("larger than the bound")
    }

    @Test func damageMakesNoCopy() throws {
        let file = try entry("f", in: try commit(["f": text(1_500_000)]))
        for key in try test.repository.backend.list("packs/") where key.hasSuffix(".pack") {
            let path = test.storePath + "/" + key
            guard let size = try FileStatus.of(path: path)?.size, size > 10_000 else { continue }
            try #require(chmod(path, 0o600) == 0)
            let fd = try OwnedDescriptor.open(path, O_WRONLY)
            try #require(pwrite(fd.raw, [1, 2, 3, 4, 5, 6, 7, 8], 8, 5000) == 8)
        }
        let hot = hot()
        #expect(throws: DFSError.self) { _ = try hot.make(file) }
        #expect(hot.bytes == 0 && hot.open(file.content, size: file.size) == nil)
    }

    // MARK: What the kernel may read

    private func eventually(_ holds: () throws -> Bool) throws {
        for _ in 0..<1000 {
            if try holds() { return }
            usleep(10_000)
        }
        Issue.record("never came")
    }

    /// The pack that is a file is used as it is; but not that of another version which begins alike.
    @Test func thePackThatIsTheFile() throws {
        var generator = SeededGenerator(seed: 5)
        var bytes = generator.bytes(3_000_000)
        let first = try entry("f", in: try commit(["f": bytes]))
        let local = LocalFiles(reader: test.repository.reader, hot: hot())
        let found = try #require(local.open(first))
        #expect(found.hot == nil && found.path.hasPrefix(test.storePath + "/packs/"))
        #expect(try Files.read(found.descriptor, what: "the pack") == bytes)
        bytes[2_500_000] ^= 1
        let second = try entry("f", in: try commit(["f": bytes]))
        #expect(second.size == first.size && second.content != first.content)
        #expect(local.open(second).map { $0.path == found.path } != true)
        // Written to since it was verified: the kernel is not to read it before it is verified again, which fails.
        try #require(chmod(found.path, 0o600) == 0)
        let fd = try OwnedDescriptor.open(found.path, O_WRONLY)
        try #require(pwrite(fd.raw, [bytes[100] ^ 1], 1, 100) == 1)
        #expect(local.open(first) == nil)
        try eventually { local.isIdle }
        #expect(local.open(first) == nil)
    }

    @Test func aPackIsVerifiedBeforeItsFirstUse() throws {
        var generator = SeededGenerator(seed: 6)
        let bytes = generator.bytes(2_000_000)
        let root = try commit(["f": bytes])
        let other = try test.reopened(cache: "other")
        _ = try other.state()
        let file = try #require(try other.reader.entry(at: [Array("f".utf8)], below: root))
        let hot = HotFiles(directory: other.cacheDirectory, reader: other.reader)
        let local = LocalFiles(reader: other.reader, hot: hot)
        #expect(local.open(file) == nil)
        try eventually { local.isIdle }
        #expect(try Files.read(try #require(local.open(file)).descriptor, what: "the pack") == bytes)
        #expect(other.reader.counters.verified.current >= 2_000_000)
    }

    @Test func whatIsUsedAgainBecomesHot() throws {
        let bytes = text(2_000_000)
        let root = try commit(["f": bytes, "small": text(200_000, seed: 9), "once": text(1_300_000, seed: 8)])
        let file = try entry("f", in: root), small = try entry("small", in: root), once = try entry("once", in: root)
        let hot = hot()
        let local = LocalFiles(reader: test.repository.reader, hot: hot)
        for _ in 0..<4 { #expect(local.open(small) == nil) }
        #expect(local.open(once) == nil)
        local.noteRead(once, 1_000_000)
        #expect(local.isIdle && hot.bytes == 0)
        #expect(local.open(file) == nil)
        #expect(local.open(file) == nil)
        try eventually { local.isIdle }
        let found = try #require(local.open(file))
        #expect(try Files.read(found.descriptor, what: "the copy") == bytes && found.hot != nil)
        #expect(test.repository.reader.counters.hotFiles.current == 1)
        local.noteRead(once, 300_000)
        try eventually { local.isIdle }
        #expect(local.open(once) != nil)
    }

    // MARK: Reading

    /// In order and in any order, in pieces of all sizes, while chunks are decompressed ahead.
    @Test(arguments: [false, true]) func readsAreRight(isCompressible: Bool) throws {
        var generator = SeededGenerator(seed: 7)
        let bytes = isCompressible ? text(9_000_001) : generator.bytes(900_001)
        let file = try entry("f", in: try commit(["f": bytes]))
        let reader = TreeReader(store: test.repository.objects, cacheBytes: 4 << 20)
        for piece in [1 << 20, 131_072, 77_777] {
            var out = [UInt8]()
            var buffer = [UInt8](repeating: 0, count: piece)
            while out.count < bytes.count {
                let count = try buffer.withUnsafeMutableBytes { try reader.read(file, at: UInt64(out.count), into: $0) }
                try #require(count > 0)
                out += buffer[..<count]
            }
            #expect(out == bytes)
        }
        for _ in 0..<200 {
            let offset = Int.random(in: 0..<bytes.count, using: &generator)
            var buffer = [UInt8](repeating: 0, count: Int.random(in: 1...700_000, using: &generator))
            let count = try buffer.withUnsafeMutableBytes { try reader.read(file, at: UInt64(offset), into: $0) }
            #expect(Array(buffer[..<count]) == Array(bytes[offset...].prefix(buffer.count)))
        }
        let ahead = reader.counters.ahead.current
        #expect(isCompressible ? ahead > 0 : ahead == 0)
        #expect((reader.counters.decompressed.current > 0) == isCompressible)
    }

    @Test func manyReadersInOrder() throws {
        let bytes = text(6_000_000)
        let file = try entry("f", in: try commit(["f": bytes]))
        let reader = TreeReader(store: test.repository.objects, cacheBytes: 4 << 20)
        let failures = Counter()
        Workers.run(8) { _ in
            var at = 0
            var buffer = [UInt8](repeating: 0, count: 400_000)
            while at < bytes.count {
                guard
                    let count = try? buffer.withUnsafeMutableBytes({ try reader.read(file, at: UInt64(at), into: $0) }),
                    count > 0, buffer[..<count].elementsEqual(bytes[at..<at + count])
                else {
                    failures.increment()
                    return
                }
                at += count
            }
        }
        #expect(failures.current == 0)
    }

    // MARK: Warming

    @Test func warming() throws {
        var generator = SeededGenerator(seed: 8)
        let large = generator.bytes(2_000_000)
        let files = ["text": text(2_000_000), "copy": text(2_000_000), "large": large, "small": generator.bytes(5000)]
        let root = try commit(files)
        let hot = hot()
        let first = try Warming(reader: test.repository.reader, hot: hot, obstacle: nil).run(root)
        #expect(first.files == 4 && first.bytes == 6_005_000 && first.skipped.isEmpty)
        #expect(first.hotMade == 1 && first.hotBytes == 2_000_000 && hot.bytes == 2_000_000)
        #expect(first.cachedBytes >= 2_005_000)
        let again = try Warming(reader: test.repository.reader, hot: hot, obstacle: nil).run(root)
        #expect(again.hotMade == 0 && again.hotPresent == 1)
        let without = try Warming(
            reader: test.repository.reader, hot: hot, obstacle: "no privilege", memory: 1000
        ).run(root)
        #expect(without.hotMade == 0 && without.hotPresent == 0)
        #expect(without.skipped.contains { $0.reason == "no hot copy: no privilege" && $0.files == 1 })
        #expect(without.skipped.contains { $0.reason.contains("not enough memory") && $0.bytes > 2_000_000 })
        let tight = try Warming(reader: test.repository.reader, hot: self.hot(limit: 1000), obstacle: nil).run(root)
        #expect(tight.hotMade == 0 && tight.skipped.contains { $0.reason.contains("bound") } || tight.hotPresent == 1)
    }

    @Test func warmingVerifies() throws {
        var generator = SeededGenerator(seed: 9)
        let root = try commit(["f": generator.bytes(2_000_000)])
        let other = try test.reopened(cache: "other")
        _ = try other.state()
        let hot = HotFiles(directory: other.cacheDirectory, reader: other.reader)
        let summary = try Warming(reader: other.reader, hot: hot, obstacle: nil).run(root)
        #expect(summary.verifiedBytes == 2_000_000)
        let file = try #require(try other.reader.entry(at: [Array("f".utf8)], below: root))
        #expect(LocalFiles(reader: other.reader, hot: hot).open(file) != nil)
    }
}
