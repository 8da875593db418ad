import DFSChunking
import DFSModel
import Testing

@Suite struct HashingTests {
    @Test func knownDigests() {
        #expect(Digest.of([]).hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(
            Digest.of(Array("abc".utf8)).hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test func piecesGiveTheSameDigest() {
        var random = RandomBytes(seed: 5)
        let content = random.bytes(100_000)
        var hasher = Hasher256()
        for _ in 0..<2 {
            content.withUnsafeBytes { all in
                hasher.update(UnsafeRawBufferPointer(rebasing: all[..<1]))
                hasher.update(UnsafeRawBufferPointer(rebasing: all[1..<70_001]))
                hasher.update(UnsafeRawBufferPointer(rebasing: all[70_001...]))
            }
            #expect(hasher.finish() == Digest.of(content))
        }
    }
}
