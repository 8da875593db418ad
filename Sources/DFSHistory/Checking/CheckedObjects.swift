import DFSModel
import DFSStore
import DFSSystem

/// Reads metadata objects through the table of the packs under check; knows nothing of the host's index. What cannot be read
/// from any pack is marked in the table.
final class CheckedObjects: Sendable {
    let store: ObjectStore
    let table: ObjectTable
    private let nodes = BoundedCache<ObjectAddress, TreeNode>(limit: 48 << 20)

    init(store: ObjectStore, table: ObjectTable) {
        self.store = store
        self.table = table
    }

    func object(_ digest: Digest, _ what: String) throws(DFSError) -> [UInt8] {
        var last: DFSError?
        for place in table.places(of: digest) {
            if place.isDamaged {
                last = last ?? DFSError(.corrupt, "\(what) is damaged: \(digest.text)", hint: "dfs verify --data")
                continue
            }
            do { return try store.read(place.item, of: place.pack) } catch {
                table.markDamaged(digest, in: place.pack)
                last = error
            }
        }
        throw last
            ?? DFSError(.corrupt, "\(what) is missing: \(digest.text)", cause: "no pack lists it", hint: "dfs verify")
    }

    func node(_ address: ObjectAddress) throws(DFSError) -> TreeNode {
        if let node = nodes[address] { return node }
        let node = try TreeNode.decode(try object(address.digest, "a tree node"))
        nodes.insert(node, for: address, cost: node.bytes.count + node.count * 4 + 128)
        return node
    }

    func recipe(_ address: ObjectAddress) throws(DFSError) -> Recipe {
        try Recipe.decode(try object(address.digest, "a recipe"))
    }
}
