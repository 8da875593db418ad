import DFSChunking
import DFSHistory
import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

/// Commits that stopped half-way and are repeated.
@Suite struct ResumeTests {
    private static let parameters = StoreParameters(
        chunk: .init(minimum: 1024, average: 4096, maximum: 16384),
        largeChunk: .init(minimum: 4096, average: 16384, maximum: 65536), largeFrom: 40 << 20,
        packTarget: 256 << 10, singleFile: 1 << 20, zstdLevel: 3, zstdSaves: 30)

    private let test: TestRepository
    private let source: String
    private var journals: String { test.directory.sub("cache") + "/\(test.repository.id)/ingest" }

    init() throws {
        test = try TestRepository(parameters: Self.parameters)
        source = test.directory.sub("source")
        try Files.makeDirectories(source)
        // Small files, files of several chunks, and one that is a pack of its own.
        for i in 0..<200 { try TestFiles.write(name: Array("small\(i)".utf8), in: source, Randomness.bytes(9000)) }
        for i in 0..<20 { try TestFiles.write(name: Array("medium\(i)".utf8), in: source, Randomness.bytes(90_000)) }
        try TestFiles.write(name: Array("large".utf8), in: source, Randomness.bytes(2 << 20))
        // A fifo is refused when everything else has been read.
        mkfifo(source + "/fifo", 0o600)
        usleep(50_000)
    }

    private func interrupted() throws {
        let error = #expect(throws: DFSError.self) { try test.commit("x", source) }
        #expect(error?.code == .refused)
        try Files.remove(source + "/fifo")
    }

    private func checkSame(_ version: VersionRecord) throws {
        let copy = test.directory.sub("copy")
        try Export(reader: test.repository.reader).run(test.root(version), to: copy)
        for name in try DirectoryListing.names(of: source) {
            let path = "/" + NameText.encode(name)
            #expect(try Files.read(source + path) == Files.read(copy + path), "\(path)")
        }
        let fresh = try test.reopened(cache: "fresh-cache")
        let report = try Checker(repository: fresh).run(data: true, files: true)
        #expect(report.problems == [])
    }

    @Test func whatWasReadAndStoredIsNotReadAgain() throws {
        try interrupted()
        let left = try test.repository.backend.list("packs/").filter { $0.hasSuffix(".pack") }.count
        #expect(left >= 10)
        let outcome = try test.commit("x", source)
        // What lay in packs that were still open is read again: at most two of each lane.
        let lost = 4 * Workers.processorCount * Int(Self.parameters.packTarget)
        #expect(outcome.isNew && outcome.bytesRead < min(lost, 3 << 20), "\(outcome.bytesRead) bytes read again")
        #expect(outcome.filesRead < 221)
        try checkSame(outcome.version)
        #expect(try DirectoryListing.names(of: journals).isEmpty)
        // The packs of the interrupted commit are this one's.
        let report = try Checker(repository: test.repository).run(data: false)
        #expect(report.unreferenced == 0)
    }

    @Test func packsThatWentMeanwhileAreNoLoss() throws {
        try interrupted()
        let packs = try test.repository.backend.list("packs/")
        for (i, key) in packs.filter({ $0.hasSuffix(".pack") }).enumerated() {
            switch i % 3 {
            case 0: try test.repository.backend.remove(key)
            case 1: truncate(test.storePath + "/" + key, 100)
            default: break
            }
        }
        let outcome = try test.commit("x", source)
        #expect(outcome.isNew && outcome.filesRead > 0)
        try checkSame(outcome.version)
    }

    @Test func aDamagedJournalIsNoLoss() throws {
        try interrupted()
        let name = try #require(try DirectoryListing.names(of: journals).first)
        let path = journals + "/" + NameText.encode(name)
        var bytes = try #require(try Files.read(path))
        for i in stride(from: 500, to: bytes.count, by: 70_000) { bytes[i] ^= 0x10 }
        try Files.remove(path)
        try TestFiles.write(name: name, in: journals, Array(bytes.dropLast(7)))
        let outcome = try test.commit("x", source)
        try checkSame(outcome.version)
    }

    @Test func aFileThatChangedMeanwhileIsReadAgain() throws {
        try interrupted()
        let other = Randomness.bytes(9000)
        try Files.remove(source + "/small7")
        try TestFiles.write(name: Array("small7".utf8), in: source, other)
        let outcome = try test.commit("x", source)
        let entry = try #require(
            try test.repository.reader.entry(at: [Array("small7".utf8)], below: test.root(outcome.version)))
        #expect(try test.repository.reader.bytes(of: entry) == other)
        try checkSame(outcome.version)
    }
}
