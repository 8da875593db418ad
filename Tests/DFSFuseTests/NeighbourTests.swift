import DFSModel
import DFSTestSupport
import DFSVirtual
import Synchronization
import Testing

@testable import DFSFuse

/// Which directories' files are given to the kernel unasked; no thread gives any here.
struct NeighbourTests {
    private let tree: VirtualTree

    /// `x/v1/<directory>/<file>`, 16 files in each.
    init() {
        var files = ReferenceFileSystem()
        for i in 0..<1500 {
            for j in 0..<16 { files.add("\(i)/\(j)", .file([1])) }
        }
        let history = FakeHistory()
        history.commit(files, to: "x")
        tree = VirtualTree(history: history, content: history, options: .init(version: "test"))
    }

    private func find(_ names: [String], from start: NodeID = .root) throws -> NodeID {
        try names.reduce(start) { id, name in
            guard case .found(let next, _) = try tree.lookup(Array(name.utf8), in: id) else {
                throw DFSError(.noReference, "no \(name)")
            }
            return next.id
        }
    }

    private func ask(_ neighbours: Neighbours, _ directory: Int, files: Range<Int>) throws {
        let directory = try find(["datasets", "x", "v1", "\(directory)"])
        for file in files { neighbours.note(try find(["\(file)"], from: directory)) }
    }

    @Test func memoryMayComeLater() throws {
        let memory = Atomic<UInt64>(0)
        let neighbours = Neighbours(tree: tree) { memory.load(ordering: .relaxed) }
        try ask(neighbours, 3, files: 0..<8)
        #expect(neighbours.counts == (1, 0))
        memory.store(.max, ordering: .relaxed)
        try ask(neighbours, 3, files: 8..<16)
        #expect(neighbours.counts == (1, 1))
    }

    @Test func whatIsRememberedIsBounded() throws {
        let neighbours = Neighbours(tree: tree) { .max }
        for directory in 0..<1500 {
            try ask(neighbours, directory, files: 0..<8)
            try #require(neighbours.counts.remembered <= Neighbours.capacity)
        }
        #expect(neighbours.counts.queued == Neighbours.capacity / 2)
    }
}
