import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

/// Every parser of stored bytes against the kept corpus of `tools/fuzz` and against changes of it that a seed gives.
/// A trap would end the test's process.
@Suite(.serialized) struct CorpusTests {
    private static let folder = Files.parent(Files.parent(#filePath)) + "/Fixtures/corpus/"

    private static func corpus(_ parser: StoredParser) throws -> [(name: String, bytes: [UInt8])] {
        try DirectoryListing.names(of: folder + parser.rawValue).map { name in
            let name = String(decoding: name, as: UTF8.self)
            return (name, try #require(try Files.read(folder + parser.rawValue + "/" + name)))
        }
    }

    /// The largest memory that this process ever had, in bytes.
    private static func peak() -> Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Int(usage.ru_maxrss) << 10
    }

    @Test(arguments: StoredParser.allCases) func theCorpusIsTakenOrRefused(_ parser: StoredParser) throws {
        let corpus = try Self.corpus(parser)
        #expect(corpus.count >= 7)
        let before = Self.peak()
        for (name, bytes) in corpus { #expect(parser.problem(with: bytes) == nil, "\(parser.rawValue)/\(name)") }
        #expect(Self.peak() - before < 64 << 20)
    }

    @Test(arguments: StoredParser.allCases) func changesOfTheCorpusAreTakenOrRefused(_ parser: StoredParser) throws {
        let corpus = try Self.corpus(parser).map(\.bytes)
        var random = Seeded(state: 20_261_126)
        let before = Self.peak()
        for round in 0..<20_000 {
            let bytes = Self.changed(corpus, &random)
            if let problem = parser.problem(with: bytes) {
                Issue.record("\(parser.rawValue), round \(round): \(problem): \(Hex.encode(bytes))")
            }
        }
        #expect(Self.peak() - before < 64 << 20)
    }

    private struct Seeded: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state ^ state >> 33) &* 0xff51_afd7_ed55_8ccd
        }
    }

    /// One input with a few bytes flipped, cut out, repeated, or replaced by numbers that are on the edge of something.
    private static func changed(_ corpus: [[UInt8]], _ random: inout Seeded) -> [UInt8] {
        var bytes = corpus[Int.random(in: corpus.indices, using: &random)]
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let at = Int.random(in: 0...bytes.count, using: &random)
            let end = min(bytes.count, at + Int.random(in: 1...12, using: &random))
            switch Int.random(in: 0..<6, using: &random) {
            case 0 where at < bytes.count: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes.removeSubrange(at..<end)
            case 2: bytes.insert(contentsOf: bytes[at..<end], at: at)
            case 3:
                let edge: [UInt8] = [0, 1, 0x7f, 0x80, 0xff, 0x22, 0x2f, 0x5c, 0x7b, 0x5b]
                for i in at..<end { bytes[i] = edge[Int.random(in: edge.indices, using: &random)] }
            case 4: bytes.removeLast(bytes.count - end)
            default:
                let other = corpus[Int.random(in: corpus.indices, using: &random)]
                let from = Int.random(in: 0...other.count, using: &random)
                bytes.replaceSubrange(at..<end, with: other[from..<min(other.count, from + end - at)])
            }
        }
        return bytes
    }
}
