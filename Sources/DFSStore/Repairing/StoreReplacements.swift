import DFSModel
import DFSRemote
import DFSSystem
import Synchronization

/// Bytes from the packs of a store, whether its ledger names them or not.
package final class StoreReplacements: ReplacementSource {
    private let store: ObjectStore
    private let threads: Int
    private let places = Mutex<[Digest: [(pack: PackID, item: PackItem)]]>([:])

    package init(store: ObjectStore, threads: Int) {
        self.store = store
        self.threads = threads
    }

    package func locate(_ wanted: [Digest: UInt32]) throws(DFSError) {
        places.withLock { $0 = [:] }
        let stack = WorkStack<PackID>()
        for key in try store.backend.list("packs/") where key.hasSuffix(".idx") {
            let name = key.dropLast(4).split(separator: "/").last ?? ""
            if let digest = Digest(hex: name) { stack.push(PackID(digest)) }
        }
        try stack.run(threads: threads) { _, pack throws(DFSError) in
            guard let index = try? self.store.readIndex(pack) else { return }
            for i in 0..<index.count where wanted[index[i].digest] != nil {
                let item = index[i]
                self.places.withLock { $0[item.digest, default: []].append((pack, item)) }
            }
        }
    }

    package func content(of digest: Digest) -> [UInt8]? {
        for place in places.withLock({ $0[digest] }) ?? [] {
            if let bytes = try? store.read(place.item, of: place.pack) { return bytes }
        }
        return nil
    }

    package func stored(_ item: PackItem, of pack: PackID) -> [UInt8]? {
        guard let stored = try? store.stored(item, of: pack), (try? store.content(of: stored, item, pack)) != nil else {
            return nil
        }
        return stored
    }

    package func table(of pack: PackID) -> PackIndex? { try? store.readIndex(pack) }
}
