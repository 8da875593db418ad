import DFSChunking
import DFSModel
import DFSRemote
import DFSSystem
import Synchronization

/// Checks packs against their tables.
package final class PackChecker: Sendable {
    package struct Finding: Sendable {
        package let pack: PackID
        package let what: String
        /// The digests that cannot be read; empty when only padding is wrong.
        package let damaged: [Digest]
    }

    private let store: ObjectStore
    private let findings = Mutex<[Finding]>([])
    package let bytes: Counter
    package let packs = Counter()

    package init(store: ObjectStore, bytes: Counter = Counter()) {
        self.store = store
        self.bytes = bytes
    }

    /// Checks that each pack has a sound table and the length it says; with `data`, also every byte; with `gaps`, what
    /// no item covers.
    package func check(
        _ ids: [PackID], data: Bool, gaps: Bool = false, threads: Int
    ) throws(DFSError) -> [Finding] {
        let stack = WorkStack<PackID>()
        stack.push(ids.reversed())
        try stack.run(threads: threads) { _, id throws(DFSError) in
            self.check(id, data: data, gaps: gaps)
            self.packs.increment()
        }
        return findings.withLock { $0 }.sorted { $0.pack < $1.pack }
    }

    private func report(_ pack: PackID, _ what: String, _ damaged: [Digest]) {
        findings.withLock { $0.append(Finding(pack: pack, what: what, damaged: damaged)) }
    }

    private func check(_ id: PackID, data: Bool, gaps: Bool) {
        let index: PackIndex
        do { index = try store.readIndex(id) } catch {
            return report(id, "\(error.what): \(error.cause ?? "")", [])
        }
        let all = (0..<index.count).map { index[$0].digest }
        let key = PackIndex.packKey(id)
        let length: UInt64?
        do { length = try store.backend.length(of: key) } catch {
            return report(id, "\(key): \(error.cause ?? error.what)", all)
        }
        guard let length else { return report(id, "\(key) is missing", all) }
        if length != index.packLength {
            report(id, "\(key) has \(length) bytes, its table says \(index.packLength)", data ? [] : all)
        }
        if data || gaps { checkBytes(id, index, min(length, index.packLength), items: data) }
    }

    private func checkBytes(_ id: PackID, _ index: PackIndex, _ length: UInt64, items readsItems: Bool) {
        let items = (0..<index.count).map { index[$0] }.sorted { $0.offset < $1.offset }
        let key = PackIndex.packKey(id)
        var damaged = [Digest](), end: UInt64 = 0, first: String?
        var dirtyGap: UInt64?
        do {
            let pack = try store.open(id)
            for item in items {
                if item.offset > end, try !isZero(pack, end..<item.offset) { dirtyGap = dirtyGap ?? end }
                end = max(end, item.offset + UInt64(item.storedLength))
                guard readsItems else { continue }
                do {
                    _ = try store.read(item, of: id)
                } catch {
                    damaged.append(item.digest)
                    first = first ?? error.cause ?? error.what
                }
                bytes.increment(by: Int(item.storedLength))
            }
            if end < length, try !isZero(pack, end..<length) { dirtyGap = dirtyGap ?? end }
        } catch {
            return report(id, "\(key): \(error.cause ?? error.what)", items.map(\.digest))
        }
        if let first { report(id, "\(key): \(damaged.count) of \(items.count) items are damaged: \(first)", damaged) }
        if let dirtyGap { report(id, "\(key): bytes that should be zero are not, near byte \(dirtyGap)", []) }
    }

    private func isZero(_ pack: any BackendObject, _ range: Range<UInt64>) throws(DFSError) -> Bool {
        var at = range.lowerBound
        let buffer = Buffer(count: 1 << 16)
        while at < range.upperBound {
            let count = Int(min(UInt64(1 << 16), range.upperBound - at))
            try pack.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer.raw[..<count]), at: at)
            if buffer.bytes(count).contains(where: { $0 != 0 }) { return false }
            at += UInt64(count)
        }
        return true
    }
}
