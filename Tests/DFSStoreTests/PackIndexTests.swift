import DFSChunking
import DFSModel
import DFSStore
import DFSTestSupport
import Testing

@Suite struct PackIndexTests {
    private func index(_ count: Int) -> PackIndex {
        let items = (0..<count).map {
            PackItem(
                digest: Digest.of([UInt8($0 & 255), UInt8($0 >> 8)]), offset: UInt64($0 * 100), storedLength: 100,
                length: 100, codec: .raw)
        }
        return PackIndex(
            kind: .shared, nonce: [UInt8](repeating: 9, count: 16), packLength: UInt64(count * 100), items: items)
    }

    @Test func findsWhatItHolds() throws {
        let index = index(1000)
        let read = try PackIndex.decode(index.bytes, expecting: index.id)
        for i in 0..<1000 {
            #expect(read.find(Digest.of([UInt8(i & 255), UInt8(i >> 8)]))?.offset == UInt64(i * 100))
        }
        #expect(read.find(.zero) == nil)
    }

    @Test func anyChangeIsFound() throws {
        let index = index(10)
        for i in 0..<index.bytes.count {
            var damaged = index.bytes
            damaged[i] ^= 1
            #expect(throws: DFSError.self) { try PackIndex.decode(damaged, expecting: index.id) }
        }
    }

    /// Tables whose id is right and whose content lies: what somebody who can write the store could leave there.
    @Test func craftedTablesAreRefused() throws {
        func item(_ offset: UInt64, _ stored: UInt32, _ length: UInt32, _ seed: UInt8, _ codec: PackItem.Codec = .raw)
            -> PackItem
        {
            PackItem(digest: Digest.of([seed]), offset: offset, storedLength: stored, length: length, codec: codec)
        }
        let nonce = [UInt8](repeating: 0, count: 16)
        let bad: [[PackItem]] = [
            [item(90, 20, 20, 1)], [item(.max, 2, 2, 1)], [item(0, 50, 50, 1), item(49, 10, 10, 2)],
            [item(0, 10, 11, 1)],
        ]
        for items in bad {
            let index = PackIndex(kind: .shared, nonce: nonce, packLength: 100, items: items)
            #expect(throws: DFSError.self) { try PackIndex.decode(index.bytes, expecting: index.id) }
        }
    }
}
