import DFSChunking
import DFSLedger
import DFSModel
import DFSRemote
import DFSSystem
import DFSTestSupport
import Glibc
import Synchronization
import Testing

/// Bundles of entries save work and decide nothing.
struct BundleTests {
    private static let first = "ledger/bundles/000000000.bundle"

    /// 2,040 entries; two bundles.
    private func long(_ dataset: String = "faces", last: UInt64 = 2040) throws -> Chronicle {
        var chronicle = try Chronicle()
        for boundary in [1000, 2000] as [UInt64] where boundary <= last {
            try chronicle.fill(to: boundary - 1, dataset: dataset)
            try chronicle.append(.commit(dataset, Int(boundary) - 1))
        }
        try chronicle.fill(to: last, dataset: dataset)
        return chronicle
    }

    private func replace(_ chronicle: Chronicle, _ bytes: [UInt8]) throws {
        let path = chronicle.fixture.backend.path(Self.first)
        try Files.remove(path)
        let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o444)
        try Files.write(bytes, to: file.raw, what: path)
    }

    private final class Counting: Backend {
        let base: DirectoryBackend
        let keys = Mutex<[String]>([])
        init(_ base: DirectoryBackend) { self.base = base }

        var location: String { base.location }
        func get(_ key: String, limit: Int) throws(DFSError) -> [UInt8]? {
            keys.withLock { $0.append(key) }
            return try base.get(key, limit: limit)
        }
        func open(_ key: String) throws(DFSError) -> any BackendObject { try base.open(key) }
        func begin() throws(DFSError) -> DurableFile { try base.begin() }
        func publish(_ file: DurableFile, as key: String) throws(DFSError) { try base.publish(file, as: key) }
        func length(of key: String) throws(DFSError) -> UInt64? { try base.length(of: key) }
        func put(_ key: String, _ bytes: [UInt8]) throws(DFSError) { try base.put(key, bytes) }
        func putIfAbsent(_ key: String, _ bytes: [UInt8]) throws(DFSError) -> Bool { try base.putIfAbsent(key, bytes) }
        func remove(_ key: String) throws(DFSError) { try base.remove(key) }
        func list(_ prefix: String) throws(DFSError) -> [String] { try base.list(prefix) }
        func time() throws(DFSError) -> Timestamp { try base.time() }
        func freeSpace() throws(DFSError) -> UInt64? { try base.freeSpace() }
    }

    @Test func bundlesStandForTheirEntries() throws {
        let chronicle = try long()
        let backend = Counting(chronicle.fixture.backend)
        let state = try Fixture.open(backend).refresh()
        #expect(state.head.sequence == 2040 && state.datasets["faces"]?.versions.count == 2039)
        #expect(try state == chronicle.state())
        // Entries 2000 to 2040, the first look, the end, and the last once more.
        #expect(backend.keys.withLock { $0.count { $0.hasSuffix(".json") } } < 60)
        #expect(try chronicle.fixture.verify().isWhole)
        // From the middle of a folder.
        var half = LedgerState(store: Fixture.store, storeFileDigest: Fixture.storeFileDigest)
        for number in 1...500 as ClosedRange<UInt64> {
            let bytes = try #require(try Files.read(chronicle.fixture.path(number)))
            try half.apply(try LedgerEntry.parse(bytes), fileDigest: .of(bytes), signatures: .trust)
        }
        #expect(try Fixture.open(chronicle.fixture.backend, state: half).refresh() == state)
    }

    @Test func withoutBundlesEntriesServe() throws {
        let chronicle = try long()
        let whole = try chronicle.state()
        try Files.removeTree(chronicle.fixture.backend.path("ledger/bundles"))
        #expect(try chronicle.read() == whole)
        #expect(try chronicle.fixture.verify().isWhole)
        // Whoever completes the next folder makes up for the last.
        var longer = chronicle
        try longer.fill(to: 2999)
        try longer.append(.commit("faces", 2999))
        #expect(
            try chronicle.fixture.backend.list("ledger/bundles/")
                == ["ledger/bundles/000000001.bundle", "ledger/bundles/000000002.bundle"])
    }

    @Test func damagedBundlesAreFoundAndChangeNothing() throws {
        let chronicle = try long()
        let whole = try chronicle.state()
        let bytes = try #require(try chronicle.fixture.backend.get(Self.first, limit: 1 << 30))
        var random = SeededGenerator(seed: 21)
        var broken = [[], Array(bytes.prefix(31)), Array(bytes.dropLast()), bytes + [0]]
        for place in [0, 6, 8, 16, 24, 31, 33, bytes.count - 1]
            + (0..<6).map({ _ in Int.random(in: bytes.indices, using: &random) })
        {
            var altered = bytes
            altered[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            broken.append(altered)
        }
        for (number, altered) in broken.enumerated() {
            try replace(chronicle, altered)
            #expect(try chronicle.read() == whole, "\(number)")
            if number % 4 == 0 { #expect(try chronicle.fixture.verify().problems.count == 1, "\(number)") }
        }
    }

    /// A bundle that hangs together and begins rightly, but tells of another history, or of an older state of the folder.
    @Test func lyingBundlesAreNotBelieved() throws {
        let other = try long("lies")
        let lie = try #require(try other.fixture.backend.get(Self.first, limit: 1 << 30))
        let chronicle = try long()
        let whole = try chronicle.state()
        try replace(chronicle, lie)
        #expect(try chronicle.read() == whole)
        let found = try chronicle.fixture.verify().problems
        #expect(found.count == 1 && found[0].what == "its bundle has other bytes")
        // Where nothing comes after it that could contradict.
        for number in 1000...2040 as ClosedRange<UInt64> { try Files.remove(chronicle.fixture.path(number)) }
        try Files.remove(chronicle.fixture.backend.path("ledger/bundles/000000001.bundle"))
        let short = try chronicle.read()
        #expect(short.head.sequence == 999 && short.datasets["lies"] == nil)
        #expect(try short == chronicle.state())
    }
}
