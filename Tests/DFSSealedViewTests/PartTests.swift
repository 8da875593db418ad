import DFSChunking
import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import Testing

@testable import DFSSealedView

/// Parts of sealed views that need neither root nor a kernel.
@Suite struct PartTests {
    private static func pack(_ i: Int) -> PackID { PackID(Digest.of(Array("\(i)".utf8))) }

    @Test func memoryLimits() throws {
        let root = try TemporaryDirectory()
        for (path, limit) in [
            ("a/memory.max", "1000000\n"), ("a/b/memory.max", "max\n"), ("a/b/c/memory.max", "2000000\n"),
        ] { try root.write(path, limit) }
        func limit(_ cgroups: String) -> UInt64 { MemoryLimit.of(cgroups: cgroups, root: root.path) }
        #expect(limit("0::/a/b/c\n") == 1_000_000)
        #expect(limit("1:name=systemd:/x\n0::/a\n") == 1_000_000)
        #expect(limit("0::/\n") == .max)
        #expect(limit("0::/elsewhere/b\n") == .max)
        #expect(limit("4:memory:/a\n") == .max && limit("") == .max)
        try root.write("memory.max", "500000\n")
        #expect(limit("0::/a/b/c\n") == 500_000 && limit("0::/\n") == 500_000)
        try root.write("a/b/c/memory.max", "lots\n")
        #expect(limit("0::/a/b/c\n") == 500_000)
        try root.write("memory/a/memory.limit_in_bytes", "400000\n")
        #expect(limit("9:name=systemd:/\n4:memory:/a/b\n") == 400_000 && limit("4:cpu:/a/b\n") == .max)
        #expect(MemoryLimit.current() > 1 << 20)
        #expect(MemoryLimit.isTight(for: .max) && !MemoryLimit.isTight(for: 1))
    }

    @Test func devices() {
        let devices = Devices(limit: 4, reserved: 2)
        #expect(devices.number(of: Self.pack(1), length: 8191) == 1)
        #expect(devices.number(of: Self.pack(2), length: 8192) == 2)
        #expect(devices.number(of: Self.pack(1), length: 8191) == 1)
        // The rest is for what is being written.
        #expect(devices.number(of: Self.pack(3), length: 1) == nil)
        let old = HotPackID.make(), new = [HotPackID.make(), HotPackID.make(), HotPackID.make()]
        #expect(devices.number(of: old, length: 4096) == nil)
        #expect(new.map { devices.number(ofNew: $0) } == [3, 4, nil])
        devices.settle(new[0], length: 3 * 4096)
        devices.settle(old, length: 4096)
        #expect(devices.all.map(\.blocks) == [1, 2, 3, 0])
        #expect(devices.all.map(\.source) == [.pack(Self.pack(1)), .pack(Self.pack(2)), .hot(new[0]), .hot(new[1])])
        // No more than an image can have, nor longer than it can say.
        #expect(Devices(limit: 100, reserved: 0).number(of: Self.pack(1), length: 1 << 45) == nil)
        let many = Devices(limit: .max, reserved: 0)
        var last: UInt16?
        for i in 0...65_535 { last = many.number(of: Self.pack(i), length: 4096) }
        #expect(many.all.count == 65_535 && last == nil)
    }

    @Test func directoryLayouts() {
        var layout = DirectoryLayout()
        #expect(layout.size == 0)
        var lengths = [1, 2]
        lengths += (0..<500).map { 1 + $0 * 37 % 255 }
        var blocks = DirectoryBlocks()
        var used = 0, full = 0
        for (i, length) in lengths.enumerated() {
            let isFresh = layout.add(nameLength: length)
            let fits = used + 12 + length <= 4096
            #expect(isFresh == !fits)
            if !fits { full += 1 }
            used = fits ? used + 12 + length : 12 + length
            blocks.add(
                Dirent(name: [UInt8](repeating: UInt8(truncatingIfNeeded: i), count: length)[...], nid: 1, type: .file))
        }
        #expect(layout.fullBlocks == full && layout.lastBytes == used)
        #expect(layout.size == UInt64(full * 4096 + used))
        #expect(blocks.full.count == full * 4096 && blocks.last.count == used)
        // Exactly a block, and a byte more.
        var exact = DirectoryLayout()
        for _ in 0..<16 { exact.add(nameLength: 244) }
        #expect(exact.lastBytes == 4096)
        #expect(exact.fullBlocks == 0 && exact.add(nameLength: 1) && exact.fullBlocks == 1)
    }

    @Test func hotKeys() {
        let content = ContentDigest(Digest.of([1])), other = ContentDigest(Digest.of([2]))
        let keys: [HotKey] = [
            .whole(content), .whole(other), .part(content, bits: 4, number: 0), .part(content, bits: 5, number: 0),
            .part(content, bits: 4, number: 1), .part(content, bits: 4, number: 256), .part(other, bits: 4, number: 0),
        ]
        #expect(Set(keys.map(\.bytes)).count == keys.count)
        #expect(HotKey.whole(content).bytes.count == 33)
        #expect(HotKey.part(content, bits: 4, number: 0x0102_0304).bytes.suffix(5) == [4, 1, 2, 3, 4])
    }

    private static func subject(_ seed: UInt8, _ dataset: String?, _ version: Int?) -> ViewSubject {
        ViewSubject(
            tree: TreeReference(
                content: ContentDigest(Digest.of([seed])), tree: ObjectAddress(Digest.of([seed, 1])), files: 1, bytes: 1
            ),
            modified: Timestamp(seconds: 5, nanoseconds: 0), dataset: dataset, version: version)
    }

    @Test func keysOfViews() {
        var keys = [String]()
        for subject in [
            Self.subject(1, "x", 1), Self.subject(2, "x", 1), Self.subject(1, "y", 1), Self.subject(1, "x", 2),
            Self.subject(1, nil, nil),
        ] {
            for owner: (UInt32, UInt32) in [(0, 0), (1000, 0), (0, 1000)] {
                keys.append(ViewManifest.key(of: subject, owner: owner))
            }
        }
        #expect(Set(keys).count == keys.count && keys.allSatisfy { $0.count == 32 })
        #expect(ViewManifest.key(of: Self.subject(1, "x", 1), owner: (0, 0)) == keys[0])
    }

    @Test func manifests() throws {
        let totals = ViewTotals()
        totals.files.increment(by: 3)
        totals.directories.increment(by: 2)
        totals.symlinks.increment()
        totals.mappedBytes.increment(by: 10)
        totals.copiedBytes.increment(by: 20)
        totals.reusedBytes.increment(by: 4)
        totals.inlineBytes.increment(by: 30)
        let stamp = try #require(FileStamp(bytes: (0..<56).map { UInt8($0) }))
        let hot = HotPackID.make()
        let manifest = ViewManifest(
            imageStamp: stamp,
            devices: [.init(source: .pack(Self.pack(1)), blocks: 7), .init(source: .hot(hot), blocks: .max)],
            totals: totals, imageBytes: 99, made: Timestamp(seconds: 1_700_000_000, nanoseconds: 123_000))
        let text = manifest.json.canonicalText
        let read = try #require(ViewManifest(try JSONValue.parse(text)))
        #expect(read.json == manifest.json && read.copiedBytes == 24 && read.imageStamp == stamp)
        #expect(read.devices.map(\.source) == manifest.devices.map(\.source) && read.devices[1].blocks == .max)
        // Any member that is missing or of another kind makes it none.
        guard case .object(let members) = manifest.json else { return #expect(Bool(false)) }
        for member in members.keys {
            var less = members
            less[member] = nil
            #expect(ViewManifest(.object(less)) == nil, "without \(member)")
            less[member] = .bool(true)
            #expect(ViewManifest(.object(less)) == nil, "another \(member)")
        }
        for devices: JSONValue in [[["hot:x"]], [["nothex", 1]], [["hot:x", -1]], [["hot:x", "1"]], ["hot:x"]] {
            var other = members
            other["devices"] = devices
            #expect(ViewManifest(.object(other)) == nil, "\(devices)")
        }
    }

    @Test func superblocks() throws {
        let superblock = ErofsFormat.Superblock(
            inodes: 77, blocks: 1234, uuid: (0..<16).map { UInt8($0) }, devices: 65_535)
        let bytes = superblock.encode()
        #expect(bytes.count == 128)
        #expect(bytes.withUnsafeBytes { ErofsFormat.Superblock($0) } == superblock)
        #expect(bytes.dropLast().withUnsafeBytes { ErofsFormat.Superblock($0) } == nil)
    }
}
