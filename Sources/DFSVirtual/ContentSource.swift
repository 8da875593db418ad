import DFSModel
import DFSStore

/// Content behind immutable ids.
///
/// Called from many threads at once, for every lookup (`node`) and every read that the kernel has no page for
/// (`read`); may block. Errors are not remembered by the caller: what failed is asked again.
/// `.corrupt` becomes EIO, `.noReference` ENOENT.
package protocol ContentSource: Sendable {
    /// A verified node of a directory. The implementation keeps the nodes used last in a bounded cache: one walk
    /// asks for the same node once per request of the kernel (some 25 names).
    func node(_ address: ObjectAddress) throws(DFSError) -> TreeNode

    /// Fills `buffer` with the verified bytes of a regular file from `offset` on and returns how many.
    ///
    /// The caller asks for bytes within `file.size` only, so fewer than `count` means that the content is short.
    func read(
        _ file: TreeEntry, at offset: UInt64, count: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DFSError) -> Int

    /// A file is being opened: a local file with its bytes, which the kernel may read by itself from now on; `nil` where
    /// `read` is to be used. Asked only by those who could use one.
    func backing(of file: TreeEntry) -> BackingFile?

    /// What `.dfs/stats` shows of reading.
    var statistics: [String: JSONValue] { get }
}

extension ContentSource {
    package func backing(of file: TreeEntry) -> BackingFile? { nil }
    package var statistics: [String: JSONValue] { [:] }
}
