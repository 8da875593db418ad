import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

@testable import DFSSealedView

extension SealedMounting {
    /// The checker refuses what the kernel would take without a word.
    @Suite struct ImageCheckerTests {
        private let fixture: SealFixture
        private let good: [UInt8]
        private let blocks: [UInt32]
        private let path: String

        init() throws {
            fixture = try SealFixture()
            var random = SeededGenerator(seed: 5)
            for name in ["a", "b", "c", "d"] { try fixture.write("dir/\(name)", random.bytes(5000)) }
            try fixture.write("dir/large", random.bytes(700_001))
            try fixture.write("dir2/small", Array("small".utf8))
            try fixture.write("dir3/small", Array("other".utf8))
            for i in 0..<300 { try fixture.write("many/" + String(repeating: "n", count: 40) + "\(i)", []) }
            try #require(symlink("target", fixture.source + "/link") == 0)
            try #require(symlink(String(repeating: "t", count: 4090), fixture.source + "/long") == 0)
            let view = try fixture.prepare(try fixture.commit())
            good = try #require(try Files.read(fixture.views.imagePath(view.key)))
            blocks = view.manifest.devices.map(\.blocks)
            path = fixture.test.directory.sub("image")
        }

        private func refusal(_ bytes: [UInt8], devices: [UInt32]? = nil) throws -> DFSError? {
            try TestFiles.write(path, bytes)
            do throws(DFSError) {
                _ = try ImageChecker.check(try OwnedDescriptor.open(path, O_RDONLY), devices: devices ?? blocks)
                return nil
            } catch { return error }
        }

        /// Whether the image is refused when `value` stands at `offset`.
        private func isRefused<T: FixedWidthInteger>(_ value: T, at offset: Int) throws -> Bool {
            var bytes = good
            withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(offset..<offset + $0.count, with: $0) }
            try #require(bytes != good, "nothing altered at \(offset)")
            return try refusal(bytes)?.code == .corrupt
        }

        // MARK: Where things are

        private func number<T: FixedWidthInteger>(_ type: T.Type, _ offset: Int) -> T {
            good.withUnsafeBytes { $0.little(type, offset) }
        }

        private struct Name {
            let text: String
            let dirent: Int
            let start: Int
            let inode: Int
        }

        /// The first block of names of a directory at `inode`.
        private func names(_ inode: Int) -> [Name] {
            let layout = number(UInt16.self, inode) >> 1, size = Int(number(UInt64.self, inode + 8))
            let count = Int(number(UInt16.self, inode + 2))
            let tail = inode + 64 + (count == 0 ? 0 : 12 + (count - 1) * 4)
            let block = layout == 2 && size < 4096 ? tail : Int(number(UInt32.self, inode + 16)) * 4096
            let names = Int(number(UInt16.self, block + 8)) / 12
            return (0..<names).map { i in
                let dirent = block + i * 12, start = block + Int(number(UInt16.self, dirent + 8))
                let end =
                    i + 1 < names ? block + Int(number(UInt16.self, dirent + 20)) : block + min(size, 4096)
                return Name(
                    text: String(decoding: good[start..<end].prefix { $0 != 0 }, as: UTF8.self), dirent: dirent,
                    start: start, inode: Int(number(UInt64.self, dirent)) * 32)
            }
        }

        private func find(_ path: String...) throws -> Name {
            var inode = 1152
            var found: Name?
            for part in path {
                found = names(inode).first { $0.text == part }
                inode = try #require(found, "\(part)").inode
            }
            return try #require(found)
        }

        private func tail(_ inode: Int) -> Int {
            let count = Int(number(UInt16.self, inode + 2))
            return inode + 64 + (count == 0 ? 0 : 12 + (count - 1) * 4)
        }

        // MARK: Alterations

        @Test func theImageItselfIsTaken() throws {
            #expect(try refusal(good) == nil)
            #expect(try refusal(good, devices: blocks + [1])?.code == .corrupt)
            #expect(try refusal(good, devices: Array(blocks.dropLast()))?.code == .corrupt)
            #expect(try refusal(good, devices: blocks.map { $0 + 1 })?.code == .corrupt)
            #expect(try refusal(Array(good.dropLast(4096)))?.code == .corrupt)
            #expect(try refusal(good + [0])?.code == .corrupt)
            for length in [0, 1, 4095, 4096] { #expect(try refusal(Array(good[..<length]))?.code == .corrupt) }
        }

        @Test func theSuperblock() throws {
            for i in 1024..<1152 where !(1024 + 48..<1024 + 64).contains(i) {
                #expect(try isRefused(good[i] ^ 0x01, at: i), "byte \(i)")
                #expect(try isRefused(good[i] ^ 0x80, at: i), "byte \(i)")
            }
            // The length of a device.
            #expect(try isRefused(blocks[0] + 1, at: 2048 + 64))
        }

        @Test func chunks() throws {
            for name in ["a", "large"] {
                let inode = try find("dir", name).inode
                let chunk = (tail(inode) + 7) / 8 * 8
                #expect(try isRefused(UInt16(1), at: chunk))
                #expect(try isRefused(UInt16(0), at: chunk + 2))
                #expect(try isRefused(UInt16(blocks.count + 1), at: chunk + 2))
                #expect(try isRefused(UInt16.max, at: chunk + 2))
                #expect(try isRefused(UInt32.max, at: chunk + 4))
                let device = Int(number(UInt16.self, chunk + 2))
                #expect(try isRefused(blocks[device - 1], at: chunk + 4))
                for form in [UInt32(0), 0x01, 0x40, 0x60, 0x1_0021, .max] {
                    #expect(try isRefused(form, at: inode + 16), "form \(form)")
                }
                for size in [UInt64(0), 1 << 32, 1 << 62, .max] {
                    #expect(try isRefused(size, at: inode + 8), "size \(size)")
                }
            }
        }

        @Test func inodes() throws {
            let small = try find("dir2", "small").inode, long = try find("long").inode
            for inode in [1152, try find("dir").inode, try find("dir", "a").inode, small, try find("link").inode, long]
            {
                let format = number(UInt16.self, inode), mode = number(UInt16.self, inode + 4)
                for other: UInt16 in [format & ~1, 1 | 1 << 1, 1 | 3 << 1, 1 | 5 << 1, format | 0x10] {
                    #expect(try isRefused(other, at: inode), "\(inode): form \(other)")
                }
                for kind: UInt16 in [0o120000, 0o100000, 0o040000, 0o020000, 0] where kind != mode & 0o170000 {
                    #expect(try isRefused(kind | mode & 0o777, at: inode + 4), "\(inode): mode \(kind)")
                }
            }
            for size in [UInt64(5000), 1 << 40, .max] {
                for inode in [small, try find("link").inode, long] {
                    #expect(try isRefused(size, at: inode + 8), "\(inode): size \(size)")
                }
            }
            #expect(try isRefused(UInt64(0), at: long + 8))
            #expect(try isRefused(UInt32(0), at: long + 16) && isRefused(UInt32.max, at: long + 16))
            for directory in [1152, try find("dir").inode, try find("many").inode] {
                let size = number(UInt64.self, directory + 8)
                for other in [0, 1, 12, size + 4096, 1 << 40, .max] {
                    #expect(try isRefused(other, at: directory + 8), "\(directory): size \(other)")
                }
            }
            #expect(try isRefused(UInt32.max, at: 1152 + 16))
            #expect(try isRefused(UInt32(0), at: 1152 + 16))
        }

        @Test func whatNamesLeadTo() throws {
            let (a, b, dir, dir2, dir3) = (
                try find("dir", "a"), try find("dir", "b"), try find("dir"), try find("dir2"), try find("dir3")
            )
            // Two names for one file or directory, a directory that holds itself, one in another's place.
            for nid in [UInt64(b.inode / 32), UInt64(a.inode / 32 + 1), UInt64(good.count / 32), .max, 0, 36] {
                #expect(try isRefused(nid, at: a.dirent), "\(nid)")
            }
            for nid in [UInt64(dir3.inode / 32), UInt64(dir.inode / 32), 36, UInt64(a.inode / 32)] {
                #expect(try isRefused(nid, at: dir2.dirent), "\(nid)")
            }
            for type in [UInt8(0), 2, 3, 7, 8, 255] { #expect(try isRefused(type, at: a.dirent + 10), "\(type)") }
            for type in [UInt8(0), 1, 7] { #expect(try isRefused(type, at: dir.dirent + 10), "\(type)") }
            for offset in [UInt16(0), 1, 12, 4095, .max] {
                #expect(try isRefused(offset, at: a.dirent + 8), "\(offset)")
            }
            for byte in [UInt8(ascii: "b"), UInt8(ascii: "/"), 0, UInt8(ascii: "z")] {
                #expect(try isRefused(byte, at: a.start), "\(byte)")
            }
            // Neither of the dots may be missing or lead elsewhere.
            for name in [".", ".."] {
                let dots = try #require(names(dir2.inode).first { $0.text == name })
                #expect(try isRefused(UInt64(dir3.inode / 32), at: dots.dirent))
                #expect(try isRefused(UInt8(1), at: dots.dirent + 10))
                #expect(try isRefused(UInt8(ascii: "-"), at: dots.start))
            }
        }

        /// Whatever stands in an image, it is refused or taken, never more.
        @Test func anyByte() throws {
            try TestFiles.write(path, good)
            let file = try OwnedDescriptor.open(path, O_RDWR)
            let places = good.indices.filter { good[$0] != 0 || ($0 > 0 && good[$0 - 1] != 0) }
            var random = SeededGenerator(seed: 99)
            var refused = 0
            for _ in 0..<1500 {
                let at = try #require(places.randomElement(using: &random))
                var byte = UInt8.random(in: 0...255, using: &random)
                try #require(pwrite(file.raw, &byte, 1, off_t(at)) == 1)
                if (try? ImageChecker.check(file, devices: blocks)) == nil { refused += 1 }
                var before = good[at]
                try #require(pwrite(file.raw, &before, 1, off_t(at)) == 1)
            }
            #expect(refused > 100)
            _ = try ImageChecker.check(file, devices: blocks)
        }
    }
}
