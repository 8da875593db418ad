import DFSChunking
import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

@testable import DFSSealedView

extension SealedMounting {
    /// Names, kinds, modes, times, targets, attributes and bytes of a sealed view, seen through the kernel.
    @Suite struct TreeTests {
        private let fixture: SealFixture

        init() throws { fixture = try SealFixture() }

        private func makeOdd() throws {
            let odd = fixture.source + "/odd"
            try Files.makeDirectories(odd + "/empty")
            let names: [[UInt8]] = [
                Array("!".utf8), Array("-".utf8), Array(".!".utf8), Array(".a".utf8), Array("..b".utf8),
                Array("...".utf8), Array(" ".utf8), Array("a\nb".utf8), [0x66, 0xff, 0xfe], [0x01],
                [UInt8](repeating: 0x6e, count: 255), Array("e\u{301}".utf8), Array("\u{e9}".utf8),
            ]
            for (i, name) in names.enumerated() {
                try TestFiles.write(name: name, in: odd, Array("content \(i)".utf8))
            }
            try TestFiles.write(odd + "/nothing", [])
            let links = [
                "dangling": "no/such/place", "long": String(repeating: "x/", count: 2047) + "y", "up": "../odd",
            ]
            for (name, target) in links { try #require(symlink(target, odd + "/" + name) == 0) }
            for (i, mode) in [0o000, 0o111, 0o444, 0o600, 0o755, 0o777].enumerated() {
                try TestFiles.write(odd + "/mode\(i)", [UInt8(i)], mode: UInt32(mode))
            }
            try #require(chmod(odd + "/empty", 0o700) == 0)
            let times: [(Int64, UInt32)] = [
                (-1, 999_999_999), (-86_400 * 365 * 60, 1), (0, 0), (1, 123_456_789), (4_102_444_800, 5),
            ]
            for (i, time) in times.enumerated() {
                let path = odd + "/time\(i)"
                try TestFiles.write(path, [UInt8(i)])
                try SealFixture.setTime(path, Timestamp(seconds: time.0, nanoseconds: time.1))
            }
        }

        private func copyMachine() throws {
            for (from, to) in [("/usr/share/zoneinfo", "zones"), ("/usr/include/linux", "include")]
            where Files.isDirectory(from) {
                try fixture.tool("/bin/cp", ["-a", from, fixture.source + "/" + to])
            }
        }

        @Test func aTreeIsShownAsItIs() throws {
            try makeOdd()
            try copyMachine()
            let version = try fixture.commit()
            let manifest = try fixture.expectSame(version)
            #expect(UInt64(manifest.files + manifest.symlinks) == version.tree.files)
            let view = try fixture.prepare(version)
            try fixture.mounted(view) { mount in
                var inodes = Set<UInt64>()
                var count = 1
                let root = try #require(try FileStatus.of(path: mount))
                #expect(root.modified == version.time && root.uid == geteuid() && root.gid == getegid())
                inodes.insert(root.inode)
                try expectAttributes(
                    mount, [("digest", version.tree.content.digest.text), ("dataset", "x"), ("version", "v1")])
                try TreeFacts.forEach(mount) { path, directory, name, status in
                    inodes.insert(status.inode)
                    count += 1
                    guard status.kind != .symlink else { return }
                    let file = try OwnedDescriptor.open(bytes: name, O_RDONLY, at: directory)
                    var expected = [("dataset", "x"), ("version", "v1")]
                    if status.kind == .file {
                        expected.append(
                            ("sha256", Digest.of(try Files.read(file, what: NameText.display(path))).hex))
                    }
                    try expectAttributes("/proc/self/fd/\(file.raw)", expected)
                }
                #expect(inodes.count == count && count > 500)
                #expect(mkdir(mount + "/new", 0o755) == -1 && errno == EROFS)
            }
        }

        private func expectAttributes(_ path: String, _ expected: [(String, String)]) throws {
            for (name, value) in expected {
                let found = try ExtendedAttributes.get("user.dfs." + name, of: path)
                #expect(found.map { String(decoding: $0, as: UTF8.self) } == value, "\(path) \(name)")
            }
        }

        /// erofs-utils read images by themselves, without anything of ours.
        @Test(.enabled(if: Files.exists("/usr/bin/fsck.erofs"), "erofs-utils is not installed"))
        func othersReadTheImage() throws {
            try makeOdd()
            try copyMachine()
            var random = SeededGenerator(seed: 1)
            for (name, size) in [("raw", 5000), ("large", 700_001), ("blocks", 65536)] {
                try fixture.write("data/" + name, random.bytes(size))
            }
            try fixture.write("data/text", Array(String(repeating: "compressible\n", count: 9000).utf8))
            let version = try fixture.commit()
            let view = try fixture.prepare(version)
            let devices = fixture.devicePaths(view.manifest).map { "--device=" + $0 }
            let out = fixture.test.directory.sub("out")
            try Files.makeDirectories(out)
            let image = fixture.views.imagePath(view.key)
            try fixture.tool("/usr/bin/fsck.erofs", ["--extract=" + out, "--overwrite"] + devices + [image])
            try TreeFacts.expectEqual(TreeFacts.of(fixture.source), TreeFacts.of(out))
            let said = try fixture.tool("/usr/bin/dump.erofs", ["-s"] + devices + [image])
            let count = said.split(separator: "\n").first { $0.hasPrefix("Filesystem inode count:") }
            let inodes = view.manifest.files + view.manifest.directories + view.manifest.symlinks
            #expect(count?.split(separator: " ").last == "\(inodes)", "\(said)")
        }

        /// Longer than a block and than a node of the tree, with directories in between.
        @Test(arguments: [1, 150, 400, 3000]) func longDirectories(_ count: Int) throws {
            for i in 0..<count {
                // Lengths differ, so that blocks end at all places.
                let name = "\(i * 7919 % count)-" + String(repeating: "n", count: i % 97)
                if i % 10 == 3 {
                    try fixture.write("d/\(name)/f", Array("\(i)".utf8))
                } else {
                    try fixture.write("d/\(name)", Array("\(i)".utf8))
                }
            }
            try fixture.expectSame(fixture.commit())
        }

        /// A directory's last names come to lie right at the end of a block, or one byte behind it.
        @Test func directoriesAroundABlock() throws {
            // Dots take 27 bytes; 19 names of 200 bytes with their entries 4,028.
            for length in 20...45 {
                let directory = "d\(length)"
                for i in 0..<19 {
                    try fixture.write(
                        "\(directory)/\(Character(UnicodeScalar(UInt8(0x61 + i))))"
                            + String(repeating: "x", count: 199), [])
                }
                try fixture.write("\(directory)/z" + String(repeating: "y", count: length), [1])
            }
            try fixture.expectSame(fixture.commit())
        }

        @Test func anEmptyTreeAndOneWithoutPacks() throws {
            try Files.makeDirectories(fixture.source + "/only/empty")
            let empty = try fixture.expectSame(fixture.commit())
            #expect(empty.devices.isEmpty)
            try fixture.write("only/a", Array("a".utf8))
            #expect(try fixture.expectSame(fixture.commit()).devices.isEmpty)
        }

        /// Code snapshots have neither dataset nor version.
        @Test func aTreeOfNoDataset() throws {
            try fixture.write("a", Array("a".utf8))
            let version = try fixture.commit()
            let view = try fixture.views.prepare(
                ViewSubject(tree: version.tree, modified: version.time, rootMask: 0o777))
            #expect(view.key != fixture.views.key(of: fixture.subject(version)))
            try fixture.mounted(view) { mount in
                let dataset = try ExtendedAttributes.get("user.dfs.dataset", of: mount)
                let digest = try ExtendedAttributes.get("user.dfs.sha256", of: mount + "/a")
                #expect(dataset == nil && digest?.count == 64)
            }
            try fixture.expectSame(view)
        }
    }
}
