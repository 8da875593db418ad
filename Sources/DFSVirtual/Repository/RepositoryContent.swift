import DFSHistory
import DFSModel
import DFSStore

/// The content of an opened store.
package struct RepositoryContent: ContentSource {
    private let reader: DFSHistory.TreeReader
    private let local: LocalFiles?

    /// `local`: where files are looked for that the kernel may read itself.
    package init(_ repository: Repository, local: LocalFiles? = nil) {
        reader = repository.reader
        self.local = local
    }

    package func node(_ address: ObjectAddress) throws(DFSError) -> TreeNode { try reader.node(address) }

    package func read(
        _ file: TreeEntry, at offset: UInt64, count: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DFSError) -> Int {
        let done = try reader.read(
            file, at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(count)))
        local?.noteRead(file, done)
        return done
    }

    package func backing(of file: TreeEntry) -> BackingFile? {
        local?.open(file).map { BackingFile(descriptor: $0.descriptor, path: $0.path, hold: $0.hot) }
    }

    package var statistics: [String: JSONValue] { reader.counters.json }
}
