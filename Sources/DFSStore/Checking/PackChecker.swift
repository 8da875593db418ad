import DFSChunking
import DFSModel
import DFSRemote
import DFSSystem
import Synchronization

/// Checks packs against their tables.
package final class PackChecker: Sendable {
    package struct Finding: Sendable {
        package enum Kind: Sendable {
            /// The table cannot be used: nothing is known of what the pack holds.
            case table
            /// There is a table, but no pack.
            case missing
            /// The pack ends before or after its table says.
            case length
            /// Items are not what their digests say.
            case items
            /// Only what no item covers is wrong.
            case padding
        }

        package let pack: PackID
        package let kind: Kind
        package let what: String
        /// The digests that cannot be read; empty when only padding is wrong.
        package let damaged: [Digest]
    }

    private let store: ObjectStore
    private let findings = Mutex<[Finding]>([])
    /// Tables that were checked, for reading the packs next; as many as fit.
    private let tables = BoundedCache<PackID, PackIndex>(limit: 128 << 20)
    /// What the tables list.
    package let table: ObjectTable
    /// Bytes of packs that were read.
    package let bytes: Counter
    /// Bytes of packs whose tables were read.
    package let expected: Counter

    package init(
        store: ObjectStore, table: ObjectTable = ObjectTable(), bytes: Counter = Counter(),
        expected: Counter = Counter()
    ) {
        self.store = store
        self.table = table
        self.bytes = bytes
        self.expected = expected
    }

    /// Checks that each pack has a sound table and the length it says; with `data`, also every byte; with `gaps`, what
    /// no item covers.
    package func check(
        _ ids: [PackID], data: Bool, gaps: Bool = false, threads: Int
    ) throws(DFSError) -> [Finding] {
        try checkTables(ids, threads: threads)
        if data || gaps { try checkBytes(ids, items: data, threads: threads) }
        return takeFindings()
    }

    /// What was found since the last call, in order of packs.
    package func takeFindings() -> [Finding] {
        findings.withLock { findings in
            defer { findings = [] }
            return findings.sorted { $0.pack < $1.pack }
        }
    }

    private func report(_ pack: PackID, _ kind: Finding.Kind, _ what: String, _ damaged: [Digest]) {
        findings.withLock { $0.append(Finding(pack: pack, kind: kind, what: what, damaged: damaged)) }
    }

    // MARK: Tables

    /// Takes the tables of packs into `table`, and looks at the packs' lengths.
    package func checkTables(_ ids: [PackID], threads: Int) throws(DFSError) {
        let stack = WorkStack<PackID>()
        // The first is taken first, so that numbers of packs follow the order of `ids` where one thread works.
        stack.push(ids.reversed())
        try stack.run(threads: threads) { _, id throws(DFSError) in self.checkTable(id) }
    }

    private func checkTable(_ id: PackID) {
        let index: PackIndex
        do {
            index = try store.readIndex(id)
            tables.insert(index, for: id, cost: index.bytes.count)
        } catch {
            return report(id, .table, error.what + (error.cause.map { ": \($0)" } ?? ""), [])
        }
        let key = PackIndex.packKey(id)
        var length: UInt64 = 0
        do {
            if let found = try store.backend.length(of: key) {
                length = found
                if length != index.packLength {
                    report(
                        id, .length, "\(key) has \(length) bytes, its table says \(index.packLength)",
                        Self.digests(index) { Self.end($0) > length })
                }
            } else {
                report(id, .missing, "\(key) is missing", Self.digests(index) { _ in true })
                return table.add(index) { _ in true }
            }
        } catch {
            report(id, .missing, "\(key): \(error.cause ?? error.what)", Self.digests(index) { _ in true })
            return table.add(index) { _ in true }
        }
        table.add(index) { Self.end($0) > length }
        expected.increment(by: Int(clamping: min(length, index.packLength)))
    }

    private static func end(_ item: PackItem) -> UInt64 { item.offset + UInt64(item.storedLength) }

    private static func digests(_ index: PackIndex, _ condition: (PackItem) -> Bool) -> [Digest] {
        (0..<index.count).map { index[$0] }.filter(condition).map(\.digest)
    }

    // MARK: Bytes

    private enum Job: Sendable {
        case pack(PackID)
        case range(PackScan, Range<Int>)
    }

    /// Reads the packs; with `items`, every byte of them, else only what no item covers. Packs without a sound table are
    /// passed over.
    package func checkBytes(_ ids: [PackID], items readsItems: Bool, threads: Int) throws(DFSError) {
        let scratches = (0..<max(1, threads)).map { _ in PackScan.Scratch() }
        let stack = WorkStack<Job>()
        stack.push(ids.reversed().map { .pack($0) })
        try stack.run(threads: threads) { thread, job throws(DFSError) in
            switch job {
            case .pack(let id):
                guard let scan = self.scan(id, items: readsItems) else { return }
                // A large pack is work for several threads.
                stack.push(scan.ranges().reversed().map { .range(scan, $0) })
            case .range(let scan, let range):
                if scan.check(range, scratches[thread], self.bytes) { self.report(scan) }
            }
        }
    }

    private func scan(_ id: PackID, items readsItems: Bool) -> PackScan? {
        guard let index = try? tables[id] ?? store.readIndex(id) else { return nil }
        let key = PackIndex.packKey(id)
        do {
            guard let length = try store.backend.length(of: key) else { return nil }
            return PackScan(
                store: store, object: try store.open(id), index: index, length: min(length, index.packLength),
                readsItems: readsItems)
        } catch {
            report(id, .missing, "\(key): \(error.cause ?? error.what)", Self.digests(index) { _ in true })
            for i in 0..<index.count { table.markDamaged(index[i].digest, in: id) }
            return nil
        }
    }

    private func report(_ scan: PackScan) {
        let found = scan.found
        let id = scan.index.id, key = PackIndex.packKey(id)
        for digest in found.damaged { table.markDamaged(digest, in: id) }
        if let cause = found.cause {
            report(
                id, .items, "\(key): \(found.damaged.count) of \(scan.index.count) items are damaged: \(cause)",
                found.damaged)
        }
        if let gap = found.dirtyGap {
            report(id, .padding, "\(key): bytes that should be zero are not, near byte \(gap)", [])
        }
    }
}
