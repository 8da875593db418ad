import DFSChunking
import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import Testing

@Suite struct TreeNodeTests {
    private func entries(_ count: Int, seed: UInt64 = 1) -> [TreeEntry] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { i in
            TreeEntry(
                name: Array("file-\(1_000_000 + i)".utf8), kind: .file, mode: 0o644,
                modified: Timestamp(seconds: Int64(i) - 5, nanoseconds: 7), size: UInt64(i),
                content: ContentDigest(Digest(words: (random.next(), random.next(), random.next(), random.next()))))
        }
    }

    private final class Memory {
        var nodes = [ObjectAddress: TreeNode]()
        func build(_ entries: [TreeEntry]) throws -> ObjectAddress {
            try TreeBuilder.build(entries) { node throws(DFSError) in
                let address = ObjectAddress(Digest.of(node.bytes))
                self.nodes[address] = try TreeNode.decode(node.bytes)
                return address
            }
        }
        func list(_ address: ObjectAddress) -> [TreeEntry] {
            guard let node = nodes[address] else { return [] }
            return (0..<node.count).flatMap { node.level == 0 ? [node.entry($0)] : list(node.child($0).address) }
        }
    }

    @Test(arguments: [0, 1, 2, 511, 512, 513, 5000, 100_000])
    func roundTrip(count: Int) throws {
        let memory = Memory()
        let entries = entries(count)
        let root = try memory.build(entries)
        #expect(memory.list(root) == entries)
        #expect(memory.nodes[root]?.files == UInt64(count))
        #expect(memory.nodes[root]?.size == entries.reduce(0) { $0 + $1.size })
    }

    @Test func aChangeTouchesFewNodes() throws {
        let memory = Memory()
        var entries = entries(100_000)
        _ = try memory.build(entries)
        let before = Set(memory.nodes.keys)
        entries.remove(at: 54_321)
        _ = try memory.build(entries)
        #expect(Set(memory.nodes.keys).subtracting(before).count <= 4)
    }

    @Test func allKindsOfEntries() throws {
        let digest = ContentDigest(Digest.of([1]))
        let address = ObjectAddress(Digest.of([2]))
        let time = Timestamp(seconds: -1, nanoseconds: 999_999_999)
        let entries = [
            TreeEntry(
                name: [0xff], kind: .symlink, mode: 0o777, modified: time, size: 3, content: digest, target: [1, 2, 3]),
            TreeEntry(
                name: [0xfe], kind: .directory, mode: 0o755, modified: time, size: 9, files: 2, content: digest,
                address: address),
            TreeEntry(
                name: Array("a\nb".utf8), kind: .file, mode: 0o755, modified: time, size: 1 << 40, content: digest,
                address: address),
            TreeEntry(
                name: [UInt8](repeating: 0x61, count: 255), kind: .file, mode: 0, modified: time, size: 0,
                content: digest),
        ].sorted { ByteOrder.precedes($0.name, $1.name) }
        let memory = Memory()
        #expect(memory.list(try memory.build(entries)) == entries)
    }

    @Test func refusesCraftedNodes() throws {
        let good = entries(20)
        var bytes = [UInt8]()
        _ = try TreeBuilder.build(good) { node throws(DFSError) in
            bytes = node.bytes
            return ObjectAddress(.zero)
        }
        _ = try TreeNode.decode(bytes)
        // Every truncation, and an extension.
        for length in 0..<bytes.count {
            #expect(throws: DFSError.self) { try TreeNode.decode(Array(bytes[..<length])) }
        }
        #expect(throws: DFSError.self) { try TreeNode.decode(bytes + [0]) }
        // Forbidden and misordered names.
        for name in ["..", ".", "", "a/b", "\0"] {
            var entry = good[0]
            entry.name = Array(name.utf8)
            var crafted = [UInt8]()
            _ = try TreeBuilder.build([entry]) { node throws(DFSError) in
                crafted = node.bytes
                return ObjectAddress(.zero)
            }
            #expect(throws: DFSError.self, "name \(name)") { try TreeNode.decode(crafted) }
        }
        var swapped = [UInt8]()
        _ = try TreeBuilder.build([good[1], good[0]]) { node throws(DFSError) in
            swapped = node.bytes
            return ObjectAddress(.zero)
        }
        #expect(throws: DFSError.self) { try TreeNode.decode(swapped) }
        _ = try? TreeNode.decode(swapped)
    }

    @Test func randomDamageNeverTraps() throws {
        var bytes = [UInt8]()
        _ = try TreeBuilder.build(entries(50)) { node throws(DFSError) in
            bytes = node.bytes
            return ObjectAddress(.zero)
        }
        var random = SeededGenerator(seed: 42)
        for _ in 0..<3000 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if let node = try? TreeNode.decode(damaged) {
                for i in 0..<node.count where node.level == 0 { _ = node.entry(i) }
            }
        }
    }
}

@Suite struct RecipeTests {
    @Test func roundTripAndIndex() throws {
        let chunks = (1...1000).map {
            Recipe.Chunk(id: ChunkID(Digest.of([UInt8($0 & 255), UInt8($0 >> 8)])), length: UInt32($0))
        }
        let recipe = Recipe(size: 500_500, content: ContentDigest(.zero), chunks: chunks)
        #expect(try Recipe.decode(recipe.encode()) == recipe)
        #expect(recipe.index(at: 0) == 0)
        #expect(recipe.index(at: 1) == 1)
        #expect(recipe.index(at: 500_499) == 999)
        #expect(throws: DFSError.self) { try Recipe.decode(Array(recipe.encode().dropLast())) }
        let lying = Recipe(size: 1, content: ContentDigest(.zero), chunks: chunks)
        #expect(throws: DFSError.self) { try Recipe.decode(lying.encode()) }
    }
}
