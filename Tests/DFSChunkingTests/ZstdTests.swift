import DFSModel
import DFSSystem
import Testing

@testable import DFSChunking

@Suite struct ZstdTests {
    static func text(_ count: Int) -> [UInt8] {
        var random = RandomBytes(seed: 6)
        var out = [UInt8]()
        while out.count < count { out += Array("line \(random.below(500)) of a log\n".utf8) }
        return Array(out.prefix(count))
    }

    func compress(_ bytes: [UInt8], level: Int32 = 3) throws -> [UInt8] {
        var out = Result<[UInt8], DFSError>.success([])
        bytes.withUnsafeBytes { buffer in
            out = Result { () throws(DFSError) in try Zstd.compress(buffer, level: level) }
        }
        return try out.get()
    }

    func decompress(_ frame: [UInt8], length: Int) throws -> [UInt8] {
        var out = Result<[UInt8], DFSError>.success([])
        frame.withUnsafeBytes { buffer in
            out = Result { () throws(DFSError) in try Zstd.decompress(buffer, length: length) }
        }
        return try out.get()
    }

    func isRefused(_ frame: [UInt8], length: Int) -> Bool {
        do {
            _ = try decompress(frame, length: length)
            return false
        } catch { return (error as? DFSError)?.code == .corrupt }
    }

    @Test(arguments: [0, 1, 255, 256, 65_791, 65_792, 300_000], [Int32(-3), 1, 3, 19])
    func roundTrip(count: Int, level: Int32) throws {
        let content = Self.text(count)
        let frame = try compress(content, level: level)
        #expect(try decompress(frame, length: count) == content)
        for wrong in [count - 1, count + 1, 0, 1 << 40, -1, .max] where wrong != count {
            #expect(isRefused(frame, length: wrong))
        }
        #expect(isRefused(frame + [0], length: count))
        #expect(isRefused(frame + frame, length: count))
        for cut in Set([0, 1, 4, 5, 6, frame.count / 2, frame.count - 1]) where cut < frame.count {
            #expect(isRefused(Array(frame.prefix(cut)), length: count))
        }
    }

    @Test func theHighestLevelsCanBeRead() throws {
        let piece = Self.text(1 << 20)
        let content = (0..<9).flatMap { _ in piece }
        let frame = try compress(content, level: 20)
        #expect(try decompress(frame, length: content.count) == content)
    }

    /// Frames made by hand: what another writer of the format, or a liar, could store.
    @Test func largeWindowsAndUnknownSizesAreRefused() throws {
        let block: [UInt8] = [0x03, 0x00, 0x00, 0x41]  // last block, run length, no bytes of "A"
        let run: [UInt8] = [0x23, 0x00, 0x00, 0x41]  // last block, run length, four bytes of "A"
        let magic: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD]
        #expect(try decompress(magic + [0x20, 4] + run, length: 4) == Array("AAAA".utf8))
        #expect(try decompress(magic + [0x20, 0] + block, length: 0) == [])
        let four: [UInt8] = [4, 0, 0, 0]
        #expect(try decompress(magic + [0x80, 13 << 3] + four + run, length: 4) == Array("AAAA".utf8))
        #expect(isRefused(magic + [0x80, 13 << 3 | 1] + four + run, length: 4))
        #expect(isRefused(magic + [0x80, 14 << 3] + four + run, length: 4))
        #expect(isRefused(magic + [0x00, 10 << 3] + run, length: 4))
        #expect(isRefused(magic + [0x21, 1, 4] + run, length: 4))
        #expect(isRefused(magic + [0x28, 4] + run, length: 4))
        #expect(isRefused([0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0] + run, length: 4))
        // Says four bytes and holds five.
        #expect(isRefused(magic + [0x20, 4, 0x2B, 0x00, 0x00, 0x41], length: 4))
        #expect(isRefused(magic + [0x20, 4, 0x1B, 0x00, 0x00, 0x41], length: 4))
    }

    @Test func aBombIsRefusedBeforeItIsAllocated() {
        let claim: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0xE0, 0, 0, 0, 0, 0, 1, 0, 0, 0x03, 0, 0, 0x41]
        #expect(isRefused(claim, length: 1 << 40))
    }

    @Test func damageNeverTraps() throws {
        var random = RandomBytes(seed: 7)
        let content = Self.text(20_000)
        let frame = try compress(content)
        for _ in 0..<500 {
            var damaged = frame
            damaged[random.below(frame.count)] ^= UInt8(1 << random.below(8))
            if let out = try? decompress(damaged, length: content.count) { #expect(out.count == content.count) }
        }
    }

    @Test func threadsShareContexts() {
        let content = Self.text(50_000)
        let wrong = Counter()
        Workers.run(200) { i in
            let mine = Array(content.dropFirst(i))
            guard let frame = try? compress(mine), let back = try? decompress(frame, length: mine.count), back == mine
            else {
                wrong.increment()
                return
            }
        }
        #expect(wrong.current == 0)
    }

    @Test func whatIsWorthwhile() {
        var random = RandomBytes(seed: 8)
        func worthwhile(_ bytes: [UInt8], _ percent: Int = 30) -> Bool {
            bytes.withUnsafeBytes { Zstd.isWorthwhile($0, percent: percent) }
        }
        #expect(worthwhile(Self.text(100_000)))
        #expect(worthwhile([UInt8](repeating: 0, count: 1 << 20)))
        #expect(!worthwhile(random.bytes(1 << 20)))
        #expect(!worthwhile(random.bytes(1000)))
        #expect(!worthwhile([]))
        #expect(!worthwhile([1, 2, 3]))
        // The histogram is flat; only repetition is there to be found.
        let piece = random.bytes(1024)
        #expect(worthwhile((0..<16).flatMap { _ in piece }))
        // Six bits of eight: saves 25 %.
        let six = random.bytes(200_000).map { $0 & 63 }
        #expect(!worthwhile(six, 30))
        #expect(worthwhile(six, 20))
        // Text behind an incompressible header, as in a large file with a preview.
        #expect(worthwhile(random.bytes(4096) + Self.text(400_000)))
    }
}
