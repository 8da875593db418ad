import DFSModel
import Synchronization

/// What a check of trees has found out, by address: each node, directory and recipe once. Thread-safe.
///
/// A node takes about 150 bytes, and 32 for each node or directory that it names.
final class TreeFacts: Sendable {
    struct Node: Sendable {
        var level: UInt8 = 0
        var files: UInt64 = 0
        var size: UInt64 = 0
        /// It cannot be read, or what it says of something is not so.
        var isBad = false
        /// Its first name, for who names it as a part of a directory.
        var firstName: [UInt8] = []
        /// Numbers of packs in which it, and the bytes of the files that it names, were found.
        var packs: [UInt32] = []
        /// Nodes that it is made of, and those of the directories that it names.
        var children: [ObjectAddress] = []
    }

    /// What is said of a directory where it is named.
    struct Claim: Sendable, Hashable {
        let content: ContentDigest
        let files: UInt64
        let size: UInt64
    }

    struct Recipe: Sendable {
        var size: UInt64 = 0
        var content = ContentDigest(.zero)
        /// Not to be read, or some of its chunks.
        var isBad = false
        /// Its bytes together have another digest.
        var isWrong = false
        var packs: [UInt32] = []
    }

    private struct Part {
        var seen = Set<ObjectAddress>()
        var nodes = [ObjectAddress: Node]()
        var claims = [ObjectAddress: Claim]()
        var contents = [ObjectAddress: ContentDigest]()
        var misclaimed = Set<ObjectAddress>()
        var recipes = [ObjectAddress: Recipe]()
    }

    private final class Shard: Sendable { let part = Mutex<Part>(Part()) }
    private let shards = (0..<64).map { _ in Shard() }

    private func with<Result>(_ address: ObjectAddress, _ body: (inout sending Part) -> sending Result) -> Result {
        shards[Int(address.digest.words.0 >> 58)].part.withLock(body)
    }

    /// Whether nobody has asked for this node before.
    func isNew(_ address: ObjectAddress) -> Bool { with(address) { $0.seen.insert(address).inserted } }

    func set(_ node: Node, for address: ObjectAddress) { with(address) { $0.nodes[address] = node } }
    func node(_ address: ObjectAddress) -> Node? { with(address) { $0.nodes[address] } }
    func markBad(_ address: ObjectAddress) { with(address) { $0.nodes[address]?.isBad = true } }

    /// Notes what is said of a directory. Of two that differ, one at least is wrong.
    func claim(_ claim: Claim, for address: ObjectAddress) {
        with(address) { part in
            if let before = part.claims[address] {
                if before != claim { part.misclaimed.insert(address) }
            } else {
                part.claims[address] = claim
            }
        }
    }

    func set(_ content: ContentDigest, for address: ObjectAddress) { with(address) { $0.contents[address] = content } }
    func content(_ address: ObjectAddress) -> ContentDigest? { with(address) { $0.contents[address] } }

    func set(_ recipe: Recipe, for address: ObjectAddress) { with(address) { $0.recipes[address] = recipe } }
    func recipe(_ address: ObjectAddress) -> Recipe? { with(address) { $0.recipes[address] } }
    func markWrong(recipe address: ObjectAddress) { with(address) { $0.recipes[address]?.isWrong = true } }

    /// Directories whose content digest is not known yet.
    var directoriesWithoutContent: [ObjectAddress] {
        shards.flatMap { shard in
            shard.part.withLock { part in part.claims.keys.filter { part.contents[$0] == nil } }
        }
    }

    /// Compares what is said of directories with what they are. Call once all is known.
    func compareClaims() {
        for shard in shards {
            shard.part.withLock { part in
                for (address, claim) in part.claims {
                    guard let content = part.contents[address], let node = part.nodes[address] else { continue }
                    if claim != Claim(content: content, files: node.files, size: node.size) {
                        part.misclaimed.insert(address)
                    }
                }
            }
        }
    }

    func isMisclaimed(_ address: ObjectAddress) -> Bool { with(address) { $0.misclaimed.contains(address) } }

    var hasWrongFiles: Bool {
        shards.contains { shard in shard.part.withLock { part in part.recipes.values.contains { $0.isWrong } } }
    }

    /// Whether nothing is wrong anywhere.
    var isClean: Bool {
        shards.allSatisfy { shard in
            shard.part.withLock { part in
                part.misclaimed.isEmpty && !part.nodes.values.contains { $0.isBad }
            }
        } && !hasWrongFiles
    }
}
