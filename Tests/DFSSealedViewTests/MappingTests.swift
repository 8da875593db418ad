import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import Testing

@testable import DFSSealedView

extension SealedMounting {
    /// Which bytes the kernel reads out of the packs, which had to be copied, and that all of them are right.
    @Suite struct MappingTests {
        private var random = SeededGenerator(seed: 7)

        private static func text(_ lines: Int, _ word: String) -> [UInt8] {
            Array((0..<lines).map { "\(word) line \($0)\n" }.joined().utf8)
        }

        @Test mutating func allSizesAroundABlock() throws {
            let fixture = try SealFixture()
            for size in Array(3900...4110) + [1, 8191, 8192, 8193, 12_288, 65_535, 65_536, 65_537, 100_000] {
                try fixture.write("\(size)", random.bytes(size))
            }
            let manifest = try fixture.expectSame(fixture.commit())
            // What fits behind its inode is there; what is a block or longer is where it was.
            #expect(manifest.inlineBytes == (3900...4008).reduce(1, +))
            #expect(manifest.copiedBytes == (4009...4095).reduce(0, +))
        }

        /// Chunks that are stored compressed come before one piece that is raw: the file does not begin where the piece does.
        @Test mutating func aFileWhoseBeginningIsCompressed() throws {
            let fixture = try SealFixture()
            let text = Self.text(60_000, "compressed")
            try fixture.write("a", text)
            _ = try fixture.commit()
            try fixture.write("b", Array(text.prefix(300_000)) + random.bytes(1_500_000))
            for i in 0..<4 { try fixture.write("after\(i)", random.bytes(250_000)) }
            _ = try fixture.expectSame(fixture.commit())
        }

        /// The pack is the file: its last block is shorter than a block, and a device cannot give that.
        @Test mutating func packsThatAreFiles() throws {
            let fixture = try SealFixture()
            let threshold = 256 << 10
            let sizes = [-1, 0, 1, 100, 4095, 4096, 4097, 40_000].map { threshold + $0 } + [1_000_000, 3 << 20]
            for size in sizes { try fixture.write("\(size)", random.bytes(size)) }
            let manifest = try fixture.expectSame(fixture.commit())
            let single = try fixture.packs(manifest).filter {
                try fixture.test.repository.objects.readIndex($0).kind == .singleFile
            }
            #expect(single.count == sizes.count - 1)
            // Of each no more than its last 64 KiB.
            #expect(manifest.copiedBytes <= sizes.count * 65536)
        }

        /// Its bytes are there, but those of another file follow: whoever maps the last block would see them.
        @Test mutating func aFileThatIsTheBeginningOfAnother() throws {
            let fixture = try SealFixture()
            for (name, size) in [("shared", 200_000), ("single", 600_000)] {
                let large = random.bytes(size)
                try fixture.write(name, large)
                let one = try fixture.commit()
                let entry = try #require(
                    try fixture.test.repository.reader.entries(of: one.tree.tree).first {
                        $0.name == Array(name.utf8)
                    })
                let recipe = try fixture.test.repository.objects.recipe(try #require(entry.address))
                let first = Int(recipe.chunks[0].length), second = Int(recipe.chunks[1].length)
                #expect(first % 4096 != 0)
                try fixture.write(name + ".first", Array(large[..<first]))
                try fixture.write(name + ".second", Array(large[first..<first + second]))
            }
            let version = try fixture.commit()
            let manifest = try fixture.expectSame(version)
            #expect(manifest.copiedBytes > 0)
        }

        @Test mutating func editedLargeFiles() throws {
            let fixture = try SealFixture()
            var bytes = random.bytes(3_000_000)
            try fixture.write("large", bytes)
            let one = try fixture.expectSame(fixture.commit())
            #expect(one.mappedBytes >= 2_930_000)
            bytes.replaceSubrange(1_000_000..<1_004_000, with: random.bytes(4000))
            try fixture.write("large", bytes)
            let overwritten = try fixture.expectSame(fixture.commit())
            #expect(overwritten.mappedBytes > 2_500_000, "\(overwritten)")
            bytes += random.bytes(123_457)
            try fixture.write("large", bytes)
            let appended = try fixture.expectSame(fixture.commit())
            #expect(appended.mappedBytes > 2_500_000, "\(appended)")
            bytes.insert(contentsOf: random.bytes(7), at: 2_000_000)
            try fixture.write("large", bytes)
            let inserted = try fixture.expectSame(fixture.commit())
            // What is behind the insertion lies at other distances to a block.
            #expect(inserted.mappedBytes > 1_500_000 && inserted.mappedBytes < 2_200_000, "\(inserted)")
        }

        /// Ranges of one file in many packs, some of them compressed.
        @Test mutating func mixedFiles() throws {
            let fixture = try SealFixture()
            let raw = random.bytes(400_000)
            try fixture.write("mixed", raw + Self.text(9000, "between") + random.bytes(500_000))
            try fixture.write("zeros", [UInt8](repeating: 0, count: 700_001))
            try fixture.write("again", raw + raw + Self.text(40, "end"))
            let manifest = try fixture.expectSame(fixture.commit())
            #expect(manifest.copiedBytes > 0 && manifest.mappedBytes > 0, "\(manifest)")
        }

        @Test mutating func compressibleFilesAreCopiedOnce() throws {
            let fixture = try SealFixture()
            var total = 0
            for i in 0..<40 {
                let text = Self.text(2000 + i, "file \(i)")
                total += text.count
                try fixture.write("\(i)", text)
            }
            let one = try fixture.expectSame(fixture.commit())
            #expect(one.copiedBytes == total && one.mappedBytes == 0)
            let before = try fixture.hotBytes()
            #expect(before >= UInt64(total) && before < UInt64(total) + 40 * 4096)
            let changed = Self.text(1500, "changed")
            try fixture.write("7", changed)
            let two = try fixture.expectSame(fixture.commit())
            #expect(try fixture.hotBytes() == before + UInt64((changed.count + 4095) / 4096 * 4096))
            #expect(Set(fixture.hotPacks(two)).isSuperset(of: fixture.hotPacks(one)))
            // Again, by a process that knows nothing.
            let host = SealedViews(repository: fixture.test.repository, limit: .max)
            #expect(try host.prepare(fixture.subject(fixture.commit())).manifest.imageStamp == two.imageStamp)
        }

        @Test mutating func morePacksThanDevices() throws {
            let fixture = try SealFixture(threads: 2, deviceLimit: 12)
            for i in 0..<20 { try fixture.write("\(i)", random.bytes((256 << 10) + i * 1000)) }
            let manifest = try fixture.expectSame(fixture.commit())
            #expect(manifest.devices.count <= 12)
            #expect((8...10).contains(fixture.packs(manifest).count))
            #expect(manifest.copiedBytes > 10 * (256 << 10))
        }

        /// Each version leaves a hot pack: they become more than an image may have.
        @Test mutating func moreHotPacksThanDevices() throws {
            let fixture = try SealFixture(threads: 1, deviceLimit: 4)
            for i in 0..<8 {
                try fixture.write("\(i)", Self.text(1000, "file \(i)"))
                let manifest = try fixture.expectSame(fixture.commit())
                #expect(manifest.devices.count <= 4)
                #expect(manifest.mappedBytes == 0)
            }
        }

        /// And without a limit none of it is copied twice.
        @Test mutating func manyHotPacks() throws {
            let fixture = try SealFixture(threads: 1)
            for i in 0..<70 {
                try fixture.write("\(i)", Self.text(300, "file \(i)"))
                _ = try fixture.prepare(fixture.commit())
            }
            let manifest = try fixture.expectSame(fixture.commit())
            #expect(fixture.hotPacks(manifest).count == 70)
        }

        @Test mutating func limitsAreKept() throws {
            let fixture = try SealFixture()
            for i in 0..<3 { try fixture.write("\(i)", Self.text(3000, "file \(i)")) }
            try fixture.write("raw", random.bytes(600_000))
            let version = try fixture.commit()
            func refusal(_ views: SealedViews, _ limits: SealedViews.Limits) -> DFSError? {
                do {
                    _ = try views.prepare(fixture.subject(version), limits: limits)
                    return nil
                } catch { return error }
            }
            let host = SealedViews(repository: try fixture.test.reopened(cache: "other"), limit: .max)
            _ = try host.repository.state()
            for limits in [
                SealedViews.Limits(copiedBytes: 50_000), .init(uncheckedBytes: 500_000), .init(entries: 3),
            ] {
                let error = refusal(host, limits)
                #expect(error?.isTooMuch == true && error?.hint != nil, "\(limits): \(String(describing: error))")
                #expect(!Files.exists(host.imagePath(host.key(of: fixture.subject(version)))))
            }
            let small = SealedViews(repository: fixture.test.repository, limit: 50_000)
            #expect(refusal(small, .init())?.isTooMuch == true)
            // Nothing is in the way of the next one.
            #expect(refusal(host, .init(copiedBytes: 1 << 20, uncheckedBytes: 1 << 20, entries: 4)) == nil)
            try fixture.expectSame(version)
            // What was written in vain is gone.
            for directory in [host.directory, host.hot.directory] {
                #expect(try DirectoryListing.names(of: directory).allSatisfy { $0.contains(0x2e) })
            }
        }
    }
}
