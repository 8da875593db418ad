import DFSHistory
import DFSModel
import DFSStore

/// The content of an opened store.
package struct RepositoryContent: ContentSource {
    private let reader: DFSHistory.TreeReader

    package init(_ repository: Repository) { reader = repository.reader }

    package func node(_ address: ObjectAddress) throws(DFSError) -> TreeNode { try reader.node(address) }

    package func read(
        _ file: TreeEntry, at offset: UInt64, count: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DFSError) -> Int {
        try reader.read(file, at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(count)))
    }
}
