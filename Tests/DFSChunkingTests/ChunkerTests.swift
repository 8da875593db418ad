import DFSModel
import Testing

@testable import DFSChunking

@Suite struct ChunkerTests {
    static let parameters = ChunkParameters(minimum: 4 << 10, average: 16 << 10, maximum: 64 << 10)
    let chunker = Chunker(Self.parameters)

    /// Ends of all chunks when the whole content is at hand.
    func cuts(_ content: [UInt8]) -> [Int] {
        var out = [Int]()
        content.withUnsafeBytes { all in
            var start = 0
            while start < all.count {
                start += chunker.cut(UnsafeRawBufferPointer(rebasing: all[start...]), final: true)
                out.append(start)
            }
        }
        return out
    }

    /// Ends of all chunks when pieces of the given lengths arrive.
    func cuts(_ content: [UInt8], fedBy length: () -> Int) -> [Int] {
        var out = [Int]()
        var fed = 0
        var start = 0
        content.withUnsafeBytes { all in
            while start < all.count {
                let at = chunker.cut(
                    UnsafeRawBufferPointer(rebasing: all[start..<fed]), final: fed == all.count)
                if at == 0 {
                    fed = min(all.count, fed + length())
                } else {
                    start += at
                    out.append(start)
                }
            }
        }
        return out
    }

    func lengths(_ ends: [Int]) -> [Int] { zip(ends, [0] + ends).map { $0 - $1 } }

    @Test(arguments: [1, 700, 4096, 30_000, 100_000])
    func feedingDoesNotMatter(length: Int) {
        var random = RandomBytes(seed: 1)
        let content = random.bytes(400_000)
        let expected = cuts(content)
        #expect(expected.count > 10)
        #expect(
            cuts(length == 1 ? Array(content.prefix(30_000)) : content) { length }
                == (length == 1 ? cuts(Array(content.prefix(30_000))) : expected))
        #expect(cuts(content) { 1 + random.below(50_000) } == expected)
    }

    @Test func lengthsKeepTheirBounds() {
        var random = RandomBytes(seed: 2)
        let lengths = lengths(cuts(random.bytes(8 << 20)))
        #expect(lengths.dropLast().allSatisfy { $0 >= 4 << 10 && $0 <= 64 << 10 })
        let average = lengths.reduce(0, +) / lengths.count
        #expect(average > 13 << 10 && average < 24 << 10)
        // Normalised: most chunks lie near the average.
        let near = lengths.count { $0 >= 8 << 10 && $0 <= 32 << 10 }
        #expect(near * 10 > lengths.count * 7)
    }

    @Test func sameBytesAreBounded() {
        for value in [UInt8(0), 0x20, 0xFF] {
            let lengths = lengths(cuts([UInt8](repeating: value, count: 300_000)))
            #expect(lengths.dropLast().allSatisfy { $0 >= 4 << 10 && $0 <= 64 << 10 })
            #expect(Set(lengths.dropLast()).count == 1)
        }
    }

    @Test(arguments: [1, 7, 4096, 50_000])
    func anInsertionMovesFewCuts(inserted: Int) {
        var random = RandomBytes(seed: 3)
        let content = random.bytes(2 << 20)
        let at = 1 << 20
        let edited = content[..<at] + random.bytes(inserted) + content[at...]
        let before = Set(cuts(content))
        let after = cuts(Array(edited)).map { $0 <= at ? $0 : $0 - inserted }
        let moved = after.count { !before.contains($0) }
        #expect(after.count > 80)
        #expect(moved <= 5 + inserted / (4 << 10))
    }

    /// The definition, byte by byte: of the 64 bytes before a cut, and nothing else.
    @Test func cutsAreWhereTheDefinitionSays() {
        var random = RandomBytes(seed: 9)
        let content = random.bytes(150_000)
        let gear = (0...255).map { Digest.of([UInt8($0)]).words.0 }
        func zeroBits(_ end: Int) -> Int {
            let hash = content[(end - 64)..<end].reduce(UInt64(0)) { $0 << 1 &+ gear[Int($1)] }
            return (hash << 1).leadingZeroBitCount
        }
        var start = 0
        var expected = [Int]()
        while start < content.count {
            let end = (1...65_536).first { length in
                let bits = length <= 16_384 ? 16 : 12
                return start + length == content.count || length == 65_536
                    || length >= 4096 && zeroBits(start + length) >= bits
            }
            start += end ?? 0
            expected.append(start)
        }
        #expect(expected.count > 5)
        #expect(cuts(content) == expected)
    }

    @Test func smallContents() {
        #expect([UInt8]().withUnsafeBytes { chunker.cut($0, final: true) } == 0)
        for count in [1, 100, 4095, 4096] {
            let content = [UInt8](repeating: 7, count: count)
            #expect(content.withUnsafeBytes { chunker.cut($0, final: true) } == count)
            #expect(content.withUnsafeBytes { chunker.cut($0, final: false) } == 0)
        }
    }

    @Test func badParametersDoNotTrap() {
        let content = [UInt8](repeating: 7, count: 5000)
        for p in [
            ChunkParameters(minimum: 0, average: 0, maximum: 0), ChunkParameters(minimum: 9, average: 3, maximum: 1),
            ChunkParameters(minimum: -5, average: -5, maximum: -5),
            ChunkParameters(minimum: .max, average: .max, maximum: .max),
        ] {
            #expect(!p.isValid)
            #expect(content.withUnsafeBytes { Chunker(p).cut($0, final: true) } > 0)
        }
        #expect(ChunkParameters.standard.isValid && ChunkParameters.large.isValid)
    }

    /// Stores written by this version dedupe against those of later ones only while the cuts stay.
    @Test func cutsAreFrozen() {
        #expect(Gear.table[0] == 0x6e34_0b9c_ffb3_7a98)
        var random = RandomBytes(seed: 4)
        #expect(cuts(random.bytes(100_000)) == Self.frozen)
    }

    static let frozen = [24399, 58921, 77801, 96120, 100_000]
}
